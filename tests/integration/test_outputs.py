"""Disks that fill up, folders that are closed, links that others plant, and signals at any moment.

A full disk is a small one in memory, mounted where only one process sees it (that needs root), or a
limit on the size of files, which anyone can set.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import Document, checked, checked_lines, of_type
from tests.running import Target, Watching, leakscope_cli, running, unmeasured, watching

pytestmark = pytest.mark.attach

NOBODY = 65534
POOL = 5
SERVICE = ("leaky_service.py", "--pool", str(POOL), "--requests", "0")
BURST = 400  # threads that begin at once: too long a line for what is left of the disk
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts, or files of others")

# Stacks are what takes up room, so all are read at each sample.
RECORDING = ("-n", "300ms", "--every-dump", "--record")


@pytest.fixture
def service() -> Iterator[Target]:
    with running(*SERVICE) as target:
        yield target


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 64 KiB, as seen from outside of the namespace that it is mounted in."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    point = tmp_path / "disk"
    point.mkdir()
    script = f"mount -t tmpfs -o size=64k none '{point}' && echo mounted && read _"
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        if holder.stdout.readline() != "mounted\n":
            pytest.skip("nothing can be mounted here, not even in a namespace of its own")
        yield Path(f"/proc/{holder.pid}/root{point}")
        holder.communicate("\n")


def fill(disk: Path, *, but: int) -> Path:
    """Take up what is free on a disk, but for so many bytes."""
    said = os.statvfs(disk)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(said.f_bavail * said.f_frsize - but))
    return ballast


def recorded(recording: Path) -> bytes:
    """The lines of a recording that is cut off, gzipped or not."""
    content = recording.read_bytes()
    return zlib.decompressobj(31).decompress(content) if recording.suffix == ".gz" else content


def only_line(stderr: str) -> str:
    """What was said: one line, and advice below it."""
    line, *advice = stderr.splitlines()
    assert all(text.startswith("  ") for text in advice), stderr
    return line


def summary_of(watch: Watching) -> Document:
    return checked_lines("".join(watch.lines))[-1]


# --- a recording on a full disk -------------------------------------------------------------------


def fill_with_threads(watch: Watching, service: Target) -> None:
    """Make the next line of a recording a long one, and watch on."""
    watch.until("sample", 3)
    service.tell(f"leak {BURST}")
    watch.until("sample", 4)
    watch.process.send_signal(signal.SIGTERM)


def assert_what_fitted_is_replayed(watch: Watching, recording: Path, reason: str) -> None:
    assert watch.status() == 2
    assert only_line(watch.stderr()) == (
        "leakscope: the recording ends here, the watch goes on: "
        f"cannot write to {recording}: {reason}"
    )
    whole = summary_of(watch)
    assert whole["ended_by"] == "signal"
    assert recorded(recording).endswith(b"}\n")
    run = leakscope_cli("replay", recording, "--json")
    assert run.returncode == 0
    assert only_line(run.stderr).startswith(f"leakscope: {recording} is cut off: ")
    replayed = checked(run.stdout)
    assert 3 <= replayed["samples"] < whole["samples"]
    assert replayed["targets"][0]["pid"] == whole["targets"][0]["pid"]
    peaks = [max(group["peak"] for group in each["groups"]) for each in (replayed, whole)]
    assert peaks[0] < peaks[1] == BURST  # not a part of a line was taken for a whole one


@pytest.mark.parametrize("name", ["watch.jsonl", "watch.jsonl.gz"])
def test_a_recording_keeps_what_fits_on_the_disk(service, small_disk, name):
    # Packed lines are a quarter as long: with more room the long one fits too.
    fill(small_disk, but=4096 if name.endswith(".gz") else 8192)
    recording = small_disk / name
    with watching(service.pid, *RECORDING, str(recording)) as watch:
        fill_with_threads(watch, service)
        assert_what_fitted_is_replayed(watch, recording, "No space left on device")


@pytest.mark.parametrize("name", ["watch.jsonl", "watch.jsonl.gz"])
def test_a_recording_keeps_what_is_allowed(service, tmp_path, name):
    recording = tmp_path / name
    # A measured one would be short of room for what it measures too.
    env = dict.fromkeys(os.environ.keys() - unmeasured().keys(), "")
    with watching(service.pid, *RECORDING, str(recording), env=env) as watch:
        watch.until("sample", 3)
        # What one more line of a few threads takes, and none of hundreds.
        most = recording.stat().st_size + 1024
        resource.prlimit(watch.process.pid, resource.RLIMIT_FSIZE, (most, most))
        fill_with_threads(watch, service)
        assert_what_fitted_is_replayed(watch, recording, "File too large")


def test_the_status_is_that_of_a_leak_where_there_is_one(service, small_disk):
    fill(small_disk, but=8192)
    options = (*RECORDING, str(small_disk / "watch.jsonl"), "--fail-on", "unknown")
    with watching(service.pid, *options) as watch:
        fill_with_threads(watch, service)
        assert watch.status() == 1
        assert "the recording ends here" in watch.stderr()


def test_a_disk_that_is_full_from_the_start_ends_the_watch(service, small_disk):
    (small_disk / "watch.jsonl").write_text("an older recording\n")
    fill(small_disk, but=0)
    run = leakscope_cli("watch", service.pid, "--record", small_disk / "watch.jsonl")
    assert (run.returncode, run.stdout) == (2, "")
    assert only_line(run.stderr).endswith("watch.jsonl: No space left on device")
    assert (small_disk / "watch.jsonl").read_text() == "an older recording\n"
    assert sorted(os.listdir(small_disk)) == ["ballast", "watch.jsonl"]


def test_a_packed_recording_is_whole_gzip_when_its_watch_has_ended(service, tmp_path):
    recording = tmp_path / "watch.jsonl.gz"
    run = leakscope_cli("watch", service.pid, "-n", "100ms", "--count", "3", "--record", recording)
    assert (run.returncode, run.stderr) == (0, "")
    assert gzip.decompress(recording.read_bytes()).endswith(b'{"ended_by":"count"}\n')
    assert os.listdir(tmp_path) == ["watch.jsonl.gz"]


def test_a_recording_can_go_down_a_pipe(service, tmp_path):
    """A reader that leaves ends the recording, as a full disk does."""
    os.mkfifo(tmp_path / "pipe")
    with watching(service.pid, "-n", "100ms", "--record", str(tmp_path / "pipe")) as watch:
        with (tmp_path / "pipe").open() as reader:
            assert "leakscope_recording" in reader.readline()
        watch.until("sample", 3)
        watch.process.send_signal(signal.SIGTERM)
        assert watch.status() == 2
        assert only_line(watch.stderr()).endswith("Broken pipe")


# --- results on a full disk -----------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_a_report_that_does_not_fit_leaves_the_old_one(service, small_disk, options):
    service.tell("leak 900")
    report = small_disk / "report"
    report.write_text("an older report\n")
    fill(small_disk, but=0 if not options else 8192)
    run = leakscope_cli("dump", service.pid, *options, "-o", report)
    assert (run.returncode, run.stdout) == (2, "")
    assert only_line(run.stderr) == f"leakscope: cannot write to {report}: No space left on device"
    assert report.read_text() == "an older report\n"
    assert sorted(os.listdir(small_disk)) == ["ballast", "report"]


@pytest.mark.parametrize("name", ["new", "old"])
def test_a_report_larger_than_is_allowed_leaves_no_part(service, tmp_path, name):
    (tmp_path / "old").write_text("an older report\n")
    service.tell("leak 100")
    run = subprocess.run(
        ["bash", "-c", 'ulimit -f 1; exec "$@"', "-", sys.executable, "-m", "leakscope",
         "dump", str(service.pid), "--json", "-o", str(tmp_path / name)],
        capture_output=True, check=False, text=True, timeout=60, env=unmeasured(),
    )  # fmt: skip
    assert (run.returncode, run.stdout) == (2, "")
    assert only_line(run.stderr) == f"leakscope: cannot write to {tmp_path / name}: File too large"
    assert os.listdir(tmp_path) == ["old"]
    assert (tmp_path / "old").read_text() == "an older report\n"


def test_lines_of_a_watch_are_whole_on_a_full_disk(service, small_disk):
    fill(small_disk, but=4096)
    stream = small_disk / "watch.ndjson"
    run = leakscope_cli(
        "watch", service.pid, "--json", "-n", "20ms", "--count", "500", "-o", stream
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert only_line(run.stderr).endswith("watch.ndjson: No space left on device")
    documents = checked_lines(stream.read_text())
    assert documents[0]["type"] == "start"
    assert of_type(documents, "sample")


def test_lines_of_a_watch_can_be_followed_in_their_file(service, tmp_path):
    stream = tmp_path / "watch.ndjson"
    # `--json` of `watching` comes before, and its lines go into the file.
    with watching(service.pid, "--interval", "1h", "-o", str(stream)) as watch:
        deadline = time.monotonic() + 30
        while not stream.exists() or stream.read_text().count("\n") < 2:
            assert time.monotonic() < deadline, watch.stderr()
            time.sleep(0.05)
        types = [document["type"] for document in checked_lines(stream.read_text())]
        assert types[:2] == ["start", "sample"]
        watch.process.terminate()
        assert watch.status() == 0
    assert checked_lines(stream.read_text())[-1]["type"] == "summary"
    assert os.listdir(tmp_path) == ["watch.ndjson"]


# --- where nothing can be written -----------------------------------------------------------------


WRITERS = [("dump", "-o"), ("watch", "--count", "1", "-o"), ("watch", "--count", "1", "--record")]


@as_root
@pytest.mark.parametrize("command", WRITERS, ids=" ".join)
def test_a_planted_link_is_refused_before_anything_is_looked_at(service, tmp_path, command):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (tmp_path / "precious").write_text("precious\n")
    (shared / "file").symlink_to(tmp_path / "precious")
    os.chown(shared / "file", NOBODY, NOBODY, follow_symlinks=False)
    name, *options = command
    run = leakscope_cli(name, service.pid, "-v", *options, shared / "file")
    assert (run.returncode, run.stdout) == (2, "")
    assert f"cannot write to {shared / 'file'}: it leads through a symlink of another" in run.stderr
    assert (tmp_path / "precious").read_text() == "precious\n"
    assert ("status 0" in run.stderr) is (name == "dump")  # which looks only once anyway


@pytest.mark.parametrize("command", WRITERS, ids=" ".join)
@pytest.mark.parametrize("path", ["/proc/file", "/proc/1/no/such", "/", "/dev/full/file"])
def test_a_place_where_nothing_can_be_written(service, command, path):
    name, *options = command
    run = leakscope_cli(name, service.pid, *options, path)
    assert (run.returncode, run.stdout) == (2, "")
    assert "Traceback" not in run.stderr
    assert path in run.stderr.splitlines()[-1]


NOBODY_WRITES = """
import os, sys
from leakscope.errors import UsageProblem
from leakscope.output import Output
os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    out = Output(sys.argv[1])
    out.lines(["new"])
    out.close()
except UsageProblem as error:
    print(error, error.advice, sep="\\n  ", file=sys.stderr)
"""


@as_root
@pytest.mark.parametrize("name", ["closed/file", "shared/of-root"])
def test_a_folder_without_rights(service, name):
    """Root may write anywhere, so someone else tries."""
    folder = Path("/tmp") / f"leakscope-test-outputs-{os.getpid()}"
    (folder / "closed").mkdir(parents=True)
    (folder / "shared").mkdir()
    try:
        (folder / "shared").chmod(0o1777)
        (folder / "shared" / "of-root").write_text("of root\n")
        (folder / "shared" / "of-root").chmod(0o666)
        run = subprocess.run(
            [sys.executable, "-c", NOBODY_WRITES, name],
            capture_output=True, check=False, cwd=folder, text=True, timeout=60, env=unmeasured(),
        )  # fmt: skip
        assert os.listdir(folder / "closed") == []
        assert (folder / "shared" / "of-root").read_text() == "of root\n"
    finally:
        shutil.rmtree(folder)
    assert (run.returncode, run.stdout) == (0, "")
    assert only_line(run.stderr).startswith(f"cannot write to {name}: ")
    assert "its folder, which must be writable" in run.stderr


# --- signals --------------------------------------------------------------------------------------


WRITE = """
import os, sys
from leakscope.output import Output
print("ready", flush=True)
out = Output(sys.argv[1])
out.lines(["x" * 1_000_000] * 30)
out.close()
"""


def test_a_signal_leaves_the_old_file_or_the_new_one_and_nothing_else(tmp_path):
    chance = random.Random(4)
    report = tmp_path / "report"
    seen = set()
    for _ in range(30):
        report.write_text("old\n")
        with subprocess.Popen(
            [sys.executable, "-c", WRITE, str(report)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            # It takes about that long; some come too early and some too late.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, 0.12))
            process.terminate()
            process.wait()
        assert os.listdir(tmp_path) == ["report"]
        seen.add(report.stat().st_size)
        assert seen <= {4, 30_000_030}
    assert 4 in seen
