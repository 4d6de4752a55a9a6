"""py-spy fails, hangs or talks nonsense: no sample is invented, and no gap is hidden."""

from __future__ import annotations

import re
import signal
import subprocess

import pytest

from leakscope.sources.pyspy import PySpy
from tests.documents import Document, checked, checked_lines, of_type
from tests.integration.faults import ALWAYS, PASSING, FaultyPySpy, complaint, is_running
from tests.running import leakscope_cli, running, watching

pytestmark = pytest.mark.attach

POOL = 5
BACKTRACE = (
    "Stack backtrace:",
    "   0: anyhow::error::<impl anyhow::Error>::msg",
    "             at /root/.cargo/registry/src/anyhow-1.0/src/error.rs:27:14",
    "   1: py_spy::main",
    "             at /project/src/main.rs:5:1",
)


@pytest.fixture(scope="module")
def service():
    with running("leaky_service.py", "--pool", str(POOL), "--requests", "0") as target:
        yield target


def only_line(run: subprocess.CompletedProcess[str]) -> str:
    """What a failed run says: one line, but for lines of advice, which are indented."""
    assert "Traceback" not in run.stderr
    line, *advice = run.stderr.splitlines()
    assert line.startswith("leakscope: ")
    assert all(text.startswith("  ") for text in advice), run.stderr
    return line


# --- a dump is set off before it is read ----------------------------------------------------------

# py-spy's process runs a call of ours before its exec. From 3.12 on Python warns of that where
# there are other threads, as the tests that go on beside have them; the call takes no lock.
forks_beside_threads = pytest.mark.filterwarnings(
    r"ignore:This process .* is multi-threaded, use of fork\(\):DeprecationWarning"
)


@forks_beside_threads
def test_a_dump_that_was_set_off_is_the_one_that_is_read(service):
    pyspy = PySpy(service.pid)
    pyspy.start()
    started = under_way(pyspy)
    assert len(pyspy.dump()) == POOL + 1
    assert not is_running(started)
    assert len(pyspy.dump()) == POOL + 1  # a later one sets itself off


@forks_beside_threads
def test_a_dump_that_was_set_off_and_is_not_wanted_is_ended(service):
    pyspy = PySpy(service.pid)
    pyspy.start()
    started = under_way(pyspy)
    pyspy.start()
    assert under_way(pyspy) == started  # once is enough
    pyspy.close()
    assert not is_running(started)
    pyspy.close()


def under_way(pyspy: PySpy) -> int:
    """The process of the dump that was set off."""
    assert pyspy._started is not None
    return pyspy._started.pid


# --- a dump is tried again ------------------------------------------------------------------------


def test_a_dump_that_fails_is_tried_again(service, tmp_path):
    faulty = FaultyPySpy(tmp_path, PASSING, when='[ "$n" -le 3 ]')
    run = leakscope_cli("dump", service.pid, "--json", env=faulty.env)
    report = checked(run.stdout)
    assert (run.returncode, run.stderr) == (0, "")
    assert (report["tries"], report["samples"], report["missed"]) == (4, 1, 0)
    assert report["targets"][0]["threads"] == POOL + 1
    assert faulty.calls == 4


@pytest.mark.fault(
    "py-spy and leakscope",
    "a dump fails because threads end while they are read (py-spy's own words, by a stand-in)",
    "It is tried again for half an interval; tries are counted.",
)
def test_retries_of_a_watch_are_counted_and_are_no_gaps(service, tmp_path):
    faulty = FaultyPySpy(tmp_path, PASSING, when="[ $((n % 2)) = 1 ]")
    run = leakscope_cli(
        "watch", service.pid, "--json", "--every-dump", "--count", "3", env=faulty.env
    )
    *_, summary = documents = checked_lines(run.stdout)
    assert (run.returncode, run.stderr) == (0, "")
    assert (summary["samples"], summary["missed"], summary["tries"]) == (3, 0, 6)
    assert [sample["tries"] for sample in of_type(documents, "sample")] == [2, 2, 2]
    assert faulty.calls == 6


# --- a sample that cannot be had is a gap ---------------------------------------------------------


def watch_with_a_gap(pid: int, faulty: FaultyPySpy) -> list[Document]:
    """A watch in which py-spy works, then doesn't for at least two samples, then does again."""
    # The count only bounds a watch in which no gap shows.
    with watching(
        pid, "--every-dump", "--interval", "500ms", "--count", "20", env=faulty.env
    ) as watch:
        watch.until("sample", 2)
        faulty.fail()
        watch.until("missed", 2)
        faulty.work()
        watch.until("sample", 2)
        watch.process.send_signal(signal.SIGTERM)
        assert watch.status() == 0
        assert watch.stderr() == ""
    return checked_lines("".join(watch.lines))


def assert_gap_is_told(documents: list[Document]) -> None:
    summary = documents[-1]
    samples, missed = of_type(documents, "sample"), of_type(documents, "missed")
    assert len(missed) >= 2
    assert (summary["samples"], summary["missed"]) == (len(samples), len(missed))
    assert summary["tries"] == sum(document["tries"] for document in [*samples, *missed])
    assert {sample["threads"] for sample in samples} == {POOL + 1}
    for group in summary["groups"]:
        assert 0 not in [size for _, size in group["points"]]
        assert (group["ended"], group["departed"], group["verdict"]) == (0, 0, "steady")


@pytest.mark.fault(
    "py-spy and leakscope",
    "all tries of a sample fail (a stand-in)",
    "A gap in the data that is told, never a sample without threads.",
)
def test_a_sample_that_fails_is_a_gap_and_never_a_sample_without_threads(service, tmp_path):
    faulty = FaultyPySpy(tmp_path, PASSING)
    documents = watch_with_a_gap(service.pid, faulty)
    assert_gap_is_told(documents)
    # Half of the last interval may have been used up before the third try or so.
    assert all(missed["tries"] >= 5 for missed in of_type(documents, "missed"))
    assert "Bad address" in of_type(documents, "missed")[0]["reason"]
    assert documents[-1]["tries"] == faulty.calls


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param("exit 0", "cannot be read", id="nothing"),
        pytest.param("echo '[{\"pid\": 1'; exit 0", "cannot be read", id="cut off"),
        pytest.param("echo '[{\"pid\": 1}]'; exit 0", "cannot be read", id="another shape"),
        pytest.param("exit 3", "it said nothing", id="no words"),
        pytest.param("kill -SEGV $$", "", id="crash"),
        pytest.param("echo '[]'; exit 0", "", id="no threads"),
    ],
)
@pytest.mark.fault(
    "py-spy and leakscope",
    "py-spy crashes, says nothing, half a document, another shape or an empty list (a stand-in)",
    "A missed sample that says what was wrong with the answer.",
)
def test_nonsense_is_a_gap(service, tmp_path, fault, reason):
    documents = watch_with_a_gap(service.pid, FaultyPySpy(tmp_path, fault))
    assert_gap_is_told(documents)
    assert reason in of_type(documents, "missed")[0]["reason"]


@pytest.mark.fault(
    "py-spy and leakscope",
    "py-spy hangs without blocking (a stand-in that sleeps)",
    "It is ended after a timeout (20 s; 1 s in this test), and the watch goes on.",
)
def test_a_py_spy_that_hangs_is_ended(service, tmp_path):
    # On a very slow machine the real one may take that long too: that is one more gap, no failure.
    faulty = FaultyPySpy(tmp_path, "exec sleep 600", timeout_s=1)
    with watching(service.pid, "--every-dump", "--interval", "200ms", env=faulty.env) as watch:
        watch.until("sample")
        faulty.fail()
        missed = watch.until("missed")
        faulty.work()
        watch.until("sample")
        watch.process.send_signal(signal.SIGTERM)
        assert watch.status() == 0
        assert watch.stderr() == ""
    checked_lines("".join(watch.lines))
    assert "did not answer" in missed["reason"]
    assert not any(is_running(pid) for pid in faulty.pids)


# --- not one sample -------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [("dump",), ("watch", "--count", "1")], ids=" ".join)
@pytest.mark.fault(
    "py-spy and leakscope",
    "not one dump succeeds (a stand-in)",
    "Status 5 and the reason; no report is written.",
)
def test_not_one_sample_is_status_5_and_says_why(service, tmp_path, command):
    faulty = FaultyPySpy(tmp_path, PASSING, when=ALWAYS)
    run = leakscope_cli(*command, service.pid, "-o", tmp_path / "report", env=faulty.env)
    assert run.returncode == 5
    assert run.stdout == ""
    assert not (tmp_path / "report").exists()
    assert "Bad address (os error 14)" in only_line(run)
    assert faulty.calls >= 5


@pytest.mark.fault(
    "py-spy and leakscope", "py-spy vanishes (it is deleted)", "Status 5: says so in one line."
)
def test_a_missing_py_spy_is_said(service, tmp_path):
    faulty = FaultyPySpy(tmp_path, PASSING)
    (tmp_path / "py-spy").unlink()
    run = leakscope_cli("dump", service.pid, env=faulty.env)
    assert (run.returncode, run.stdout) == (5, "")
    assert "py-spy" in only_line(run)


@pytest.mark.fault(
    "py-spy and leakscope",
    "py-spy does not know this Python (its own words, by a stand-in)",
    "Status 5: says so, and how to get a newer py-spy. It is not tried again.",
)
def test_a_python_too_new_is_said(service, tmp_path):
    fault = complaint("Error: Unsupported version of Python: 3.99.0")
    faulty = FaultyPySpy(tmp_path, fault, when=ALWAYS)
    run = leakscope_cli("dump", service.pid, env=faulty.env)
    assert (run.returncode, run.stdout) == (5, "")
    assert "3.99.0" in only_line(run)
    assert "--upgrade py-spy" in run.stderr
    assert faulty.calls == 1


# --- py-spy's own words ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["dump", "watch"])
def test_no_rust_backtrace_is_asked_for(command):
    verbose = {"RUST_BACKTRACE": "full", "RUST_LIB_BACKTRACE": "1", "RUST_LOG": "debug"}
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        run = leakscope_cli(command, sleeper.pid, "-v", env=verbose)
        sleeper.kill()
    assert run.returncode == 5
    assert "backtrace" not in run.stderr
    assert not re.search(r"^\s*\d+: ", run.stderr, re.MULTILINE)


@pytest.mark.parametrize("options", [(), ("-v",)], ids=["quiet", "verbose"])
def test_a_rust_backtrace_is_not_passed_on(service, tmp_path, options):
    fault = complaint("Error: Unsupported version of Python: 3.99.0", "", *BACKTRACE)
    run = leakscope_cli(
        "dump", service.pid, *options, env=FaultyPySpy(tmp_path, fault, when=ALWAYS).env
    )
    assert run.returncode == 5
    assert "3.99.0" in run.stderr
    assert "Stack backtrace" not in run.stderr
    assert ".rs:" not in run.stderr


def test_verbose_tells_each_call_and_its_time(service, tmp_path):
    faulty = FaultyPySpy(tmp_path, PASSING, when='[ "$n" -le 2 ]')
    run = leakscope_cli("dump", service.pid, "-v", env=faulty.env)
    calls = re.findall(r"py-spy dump .*--pid (\d+).*: status (\d) in [\d.]+ s", run.stderr)
    assert calls == [(str(service.pid), status) for status in "110"]
