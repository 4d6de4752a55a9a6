"""A recording says what the watch said that made it, and a broken one says how far it goes.

One service leaks for all of these watches, which go on at the same time.
"""

from __future__ import annotations

import gzip
import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from leakscope.sources.pyspy import find_pyspy
from tests.documents import Document, checked, checked_lines, of_type
from tests.running import leakscope_cli, running, watching

pytestmark = pytest.mark.attach

SERVICE = ("leaky_service.py", "--pool", "30", "--requests", "5")
REPLAY = (sys.executable, "-m", "leakscope", "replay")
LEAK_PER_S = 2
WATCHED_FOR = "33s"
LONGEST_S = 150.0


@dataclass
class Live:
    """A watch that recorded what it saw."""

    run: subprocess.CompletedProcess[str]
    recording: Path

    @property
    def documents(self) -> list[Document]:
        return checked_lines(self.run.stdout)

    @property
    def summary(self) -> Document:
        return self.documents[-1]


@dataclass
class Lives:
    """All watches of the module."""

    plain: Future[Live]
    packed: Future[Live]
    until_leak: Future[Live]
    killed: Future[Path]
    killed_packed: Future[Path]


def watch(pid: int, recording: Path, *options: str) -> Live:
    run = leakscope_cli("watch", pid, "--json", "--record", recording, *options, timeout=LONGEST_S)
    return Live(run, recording)


def watch_and_kill(pid: int, recording: Path) -> Path:
    with watching(pid, "--record", str(recording)) as watch:
        watch.until("sample", 12)
        watch.process.kill()
        watch.process.wait()
    return recording


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    folder = tmp_path_factory.mktemp("recordings")
    with ThreadPoolExecutor(5) as pool, running(*SERVICE) as service:
        service.tell(f"autoleak {LEAK_PER_S}")
        pid = service.pid
        for_long = ("--duration", WATCHED_FOR)
        started = Lives(
            pool.submit(watch, pid, folder / "plain.jsonl", *for_long),
            pool.submit(watch, pid, folder / "packed.jsonl.gz", *for_long),
            pool.submit(watch, pid, folder / "leak.jsonl", "--exit-on-leak", "--duration", "80s"),
            pool.submit(watch_and_kill, pid, folder / "killed.jsonl"),
            pool.submit(watch_and_kill, pid, folder / "killed.jsonl.gz"),
        )
        yield started
        pool.shutdown()  # before the service ends


def replayed(recording: Path, *options: str, status: int = 0, stderr: str = "") -> Document:
    """What replay says, after a look at its status and complaints."""
    run = leakscope_cli("replay", recording, "--json", *options)
    assert (run.returncode, run.stderr) == (status, stderr)
    assert run.stdout.count("\n") == 1
    return checked(run.stdout)


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST_S
    while not done():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.01)


# --- the same as live -----------------------------------------------------------------------------


def test_the_watch_found_its_leak(lives):
    live = lives.plain.result()
    assert (live.run.returncode, live.run.stderr) == (1, "")
    assert len(live.summary["leaks"]) == 1


@pytest.mark.parametrize("form", ["plain", "packed", "until_leak"])
def test_a_replay_says_what_the_watch_said(lives, form):
    live: Live = getattr(lives, form).result()
    summary = live.summary
    again = replayed(live.recording, status=live.run.returncode)
    assert again.keys() == summary.keys()
    assert summary["cost"]["dumps"] > 0
    assert again["cost"] is None  # a replay looks at nothing
    assert again["made_by"][:2] == ["leakscope", "replay"]
    for key in summary.keys() - {"cost", "made_by"}:
        assert again[key] == summary[key], key


@pytest.mark.fault(
    "Input and output",
    "a signal comes when the report is out, and a command of `--on-leak` has not ended",
    "leakscope ends at once, with 128 and the number, and so does the command.",
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_what_lingers(lives, number, tmp_path):
    told, report = tmp_path / "told", tmp_path / "report"
    options = ("--json", "-o", str(report), "--on-leak", f"echo $$ > {told}; sleep 60")
    recording = str(lives.until_leak.result().recording)
    with subprocess.Popen([*REPLAY, recording, *options]) as process:
        until(lambda: told.exists() and told.read_text().endswith("\n"))
        until(report.exists)
        process.send_signal(number)
        assert process.wait(10) == 128 + number
    command = Path("/proc", told.read_text().strip())
    until(lambda: not command.exists())
    assert checked(report.read_text())["verdict"] == "leaking"


def test_a_replay_in_text_says_what_its_json_says(lives):
    recording = lives.plain.result().recording
    (leak,) = replayed(recording, status=1)["leaks"]
    run = leakscope_cli("replay", recording)
    assert (run.returncode, run.stderr) == (1, "")
    assert run.stdout.startswith("LEAKING: 1 leak in process ")
    assert leak["evidence"][0] in " ".join(run.stdout.split())


def test_a_packed_recording_is_gzip_and_says_the_same_unpacked(lives, tmp_path):
    packed = lives.packed.result().recording
    assert packed.read_bytes()[:2] == b"\x1f\x8b"
    plain = tmp_path / "plain"
    with gzip.open(packed) as file:
        plain.write_bytes(file.read())
    assert said_of(plain) == said_of(packed)


def test_the_name_of_a_recording_does_not_tell_whether_it_is_packed(lives, tmp_path):
    recording = lives.plain.result().recording
    packed = tmp_path / "recording"
    packed.write_bytes(gzip.compress(recording.read_bytes()))
    assert said_of(packed) == said_of(recording)


def said_of(recording: Path, *options: str) -> Document:
    """What is said of a recording that leaks, whatever the command that asked for it."""
    document = replayed(recording, *options, status=1)
    del document["made_by"]
    return document


def test_all_that_a_recording_knows_of_a_group_is_what_its_report_knows(lives, tmp_path):
    recording = lives.plain.result().recording
    report = replayed(recording, status=1)
    saved = tmp_path / "report.json"
    saved.write_text(json.dumps(report))
    (leak,) = report["leaks"]
    run = leakscope_cli("explain", leak["id"], recording)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith(f"group {leak['id']}: {leak['count']} threads, leaking")
    assert leak["cause"]["cure"] in run.stdout
    assert leakscope_cli("explain", leak["id"][:6], saved).stdout == run.stdout
    # The lines of a watch know more: when the verdict changed.
    watch = tmp_path / "watch.ndjson"
    watch.write_text(lives.plain.result().run.stdout)
    assert "-> leaking, " in leakscope_cli("explain", leak["id"], watch).stdout


def test_a_group_that_a_recording_does_not_have_is_a_usage_problem(lives):
    recording = lives.plain.result().recording
    run = leakscope_cli("explain", "nothing", recording)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith(f"leakscope: {recording} has no group nothing\n  It has ")


# --- a part of it ---------------------------------------------------------------------------------


def test_until_judges_only_the_first_part(lives):
    live = lives.plain.result()
    part = replayed(live.recording, "--until", "15s")
    samples = of_type(live.documents, "sample")
    first_s = samples[0]["elapsed_s"]
    early = [s for s in samples if s["elapsed_s"] - first_s <= 15]
    assert part["samples"] == len(early) < live.summary["samples"]
    assert part["observed_s"] == pytest.approx(early[-1]["elapsed_s"] - first_s, abs=0.002)
    assert part["targets"][0]["threads"] == early[-1]["threads"]
    assert (part["leaks"], part["verdict"]) == ([], "growing")
    assert part["ended_by"] == "end of recording"


def test_until_beyond_the_end_is_all_of_it(lives):
    recording = lives.plain.result().recording
    assert said_of(recording, "--until", "1h") == said_of(recording)


# --- exit statuses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ((), 1),
        (("--exit-zero",), 0),
        (("--until", "15s"), 0),
        (("--until", "15s", "--fail-on", "growing"), 1),
        (("--until", "soon"), 2),
    ],
)
def test_exit_statuses_are_those_of_watch(lives, options, status):
    run = leakscope_cli("replay", lives.plain.result().recording, *options)
    assert run.returncode == status
    assert "Traceback" not in run.stderr


# --- baselines and excuses ------------------------------------------------------------------------


@pytest.fixture
def saved(lives, tmp_path) -> Path:
    """The report of the watch that found the leak."""
    baseline: Path = tmp_path / "baseline.json"
    baseline.write_text(lives.plain.result().run.stdout)
    return baseline


def test_a_leak_that_a_baseline_had_is_no_alarm(lives, saved):
    live = lives.plain.result()
    again = replayed(live.recording, "--baseline", str(saved))
    assert (again["verdict"], again["leaks"]) == ("clean", [])
    (known,) = again["known"]
    (leak,) = live.summary["leaks"]
    assert (known["id"], known["count"]) == (leak["id"], leak["count"])
    assert known["since"] == live.summary["ended_at"]


def test_a_leak_that_is_faster_than_in_the_baseline_is_one(lives, saved):
    document = lives.plain.result().summary
    document["leaks"][0]["rate_per_min"] /= 4
    saved.write_text(json.dumps(document))
    again = replayed(lives.plain.result().recording, "--baseline", str(saved), status=1)
    assert "and faster than that" in again["leaks"][0]["evidence"][-1]


def test_what_an_ignore_file_leaves_out_is_no_alarm_and_is_said(lives, tmp_path):
    excuses = tmp_path / "ignore.txt"
    excuses.write_text("^consume$  # on command, in a test\n")
    again = replayed(lives.plain.result().recording, "--ignore-file", str(excuses))
    assert again["leaks"] == []
    assert any("as --ignore-file asks: on command, in a test" in s for s in again["not_seen"])


@pytest.mark.parametrize("kind", ["no file", "a recording", "no report", "another level"])
def test_what_is_no_baseline_is_a_usage_problem(lives, saved, tmp_path, kind):
    recording, options = lives.plain.result().recording, []
    if kind == "no file":
        saved = tmp_path / "none.json"
    elif kind == "a recording":
        saved = recording
    elif kind == "no report":
        saved.write_text('{"type": "start"}\n')
    else:
        options = ["--group-by", "line"]
    run = leakscope_cli("replay", recording, "--baseline", saved, *options)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("leakscope: ")


def test_a_file_that_is_no_recording_is_a_usage_problem(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("buy milk\n")
    run = leakscope_cli("replay", file)
    assert (run.returncode, run.stdout) == (2, "")
    assert f"{file}, line 1: " in run.stderr


def test_a_file_that_is_not_there_is_a_usage_problem(tmp_path):
    run = leakscope_cli("replay", tmp_path / "gone")
    assert (run.returncode, run.stdout) == (2, "")
    assert "No such file" in run.stderr


# --- a writer that was killed ---------------------------------------------------------------------


@pytest.mark.parametrize("form", ["killed", "killed_packed"])
def test_a_recording_of_a_killed_writer_is_good_up_to_its_last_whole_line(lives, form):
    recording: Path = getattr(lives, form).result()
    run = leakscope_cli("replay", recording, "--json")
    assert run.returncode == 0
    report = checked(run.stdout)
    # Its last sample may have been recorded and not yet shown.
    assert report["samples"] in (12, 13)
    assert report["ended_by"] == "end of recording"


def test_a_packed_recording_of_a_killed_writer_says_that_it_is_cut_off(lives):
    recording = lives.killed_packed.result()
    run = leakscope_cli("replay", recording, "--json")
    assert f"leakscope: {recording} is cut off: " in run.stderr
    assert leakscope_cli("replay", recording, "--json", "--quiet").stderr == ""


def test_a_recording_of_a_killed_writer_says_that_it_is_cut_off(lives):
    recording = lives.killed.result()
    run = leakscope_cli("replay", recording, "--json")
    assert f"leakscope: {recording} is cut off: " in run.stderr


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_recording_cut_within_a_line_is_read_up_to_there(lives, tmp_path, share):
    whole = lives.plain.result().recording.read_bytes()
    cut = tmp_path / "cut.jsonl"
    kept = whole[: int(share * len(whole))].rstrip(b"}\n")
    cut.write_bytes(kept)
    lines = [json.loads(line) for line in kept.splitlines()[:-1]]
    run = leakscope_cli("replay", cut, "--json")
    assert f"{cut} is cut off: line {len(lines) + 1}: " in run.stderr
    report = checked(run.stdout)
    assert report["samples"] == sum("t" in line and "missed" not in line for line in lines)
    assert run.returncode == int(report["verdict"] == "leaking")


# --- the end at a leak ----------------------------------------------------------------------------


def test_exit_on_leak_ends_as_soon_as_a_leak_is_certain(lives):
    live = lives.until_leak.result()
    assert (live.run.returncode, live.run.stderr) == (1, "")
    summary = live.summary
    assert summary["ended_by"] == "leak"
    assert summary["verdict"] == "leaking"
    assert len(summary["leaks"]) == 1
    assert 30 <= summary["observed_s"] < 45  # it is more than 30, and told to the millisecond
    *_, last_sample = of_type(live.documents, "sample")
    after = live.documents[live.documents.index(last_sample) + 1 : -1]
    assert "leaking" in [change["verdict"] for change in after]


# --- size -----------------------------------------------------------------------------------------


@dataclass
class Sizes:
    """What samples of a process with 1000 threads take up, in bytes."""

    dump: bytes
    recording: Path
    growth: list[int]  # of the packed recording from one sample to the next


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> Sizes:
    folder = tmp_path_factory.mktemp("sizes")
    plain, packed = folder / "big.jsonl", folder / "big.jsonl.gz"
    growth = []
    with running(*SERVICE) as service, ExitStack() as stack:
        service.tell("leak 1000", timeout_s=60)
        command = [find_pyspy(), "dump", "--json", "--nonblocking", "--pid", str(service.pid)]
        dump = dumped_by_pyspy(command)
        run = leakscope_cli(
            "watch", service.pid, "--count", "7", "--json", "--record", plain, timeout=LONGEST_S
        )
        assert run.returncode == 0, run.stderr
        watch = stack.enter_context(watching(service.pid, "--count", "7", "--record", str(packed)))
        sizes_seen = []
        for _ in range(7):
            watch.until("sample")
            sizes_seen.append(packed.stat().st_size)
        assert watch.status() == 0, watch.stderr()
        growth = [later - earlier for earlier, later in pairwise(sizes_seen)]
    return Sizes(dump, plain, growth)


def dumped_by_pyspy(command: list[str]) -> bytes:
    """A dump that does not stop its target fails now and then; then the next one may not."""
    for _ in range(20):
        run = subprocess.run(command, capture_output=True, check=False, timeout=60)
        if run.returncode == 0:
            return run.stdout
    raise AssertionError(run.stderr)


def test_a_sample_of_1000_threads_takes_a_hundredth_of_that_of_pyspy(sizes):
    assert len(json.loads(sizes.dump)) > 1000
    lines = sizes.recording.read_bytes().splitlines(keepends=True)
    steady = [len(line) for line in lines if line.startswith(b'{"t"')][1:]
    assert len(steady) == 6
    assert statistics.median(steady) <= len(sizes.dump) / 100


def test_the_first_sample_of_1000_threads_is_smaller_than_that_of_pyspy(sizes):
    first = next(
        line for line in sizes.recording.read_bytes().splitlines() if line.startswith(b'{"t"')
    )
    assert len(first) < len(sizes.dump) / 5


def test_a_packed_sample_of_1000_threads_takes_a_hundredth_of_that_of_pyspy(sizes):
    assert len(sizes.growth) == 6
    assert 0 < statistics.median(sizes.growth) <= len(sizes.dump) / 100


def test_what_is_beside_the_report_is_written_though_the_report_cannot_be(lives, tmp_path):
    recording, page = lives.plain.result().recording, tmp_path / "page.html"
    beside = ("--junit", "/dev/full", "--html", page)
    done = leakscope_cli("replay", recording, *beside, "-o", "/dev/full")
    assert (done.returncode, page.exists()) == (2, True)
    assert done.stderr.count("cannot write to /dev/full") == 2  # each file once
