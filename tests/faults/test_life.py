"""The target ends, stops, becomes another program, or is not quite there yet."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leakscope.errors import LeakscopeError
from leakscope.model import Snapshot, Tick
from leakscope.sources.live import LiveSource
from leakscope.sources.stopping import Stop
from leakscope.sources.timetable import Schedule
from tests.documents import Document, checked, checked_lines, group_at
from tests.faults.processes import runs_untraced, tracers, wait_for
from tests.pythons import find_pythons
from tests.running import PROGRAMS, Watching, leakscope_cli, running, watching

pytestmark = pytest.mark.attach

# In a PID namespace of its own, where no other process takes PIDs.
ALONE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
WORKERS = 5  # of misfortunes.py, beside its main thread


def summary_of(watch: Watching) -> Document:
    assert watch.stderr() == ""
    return checked_lines("".join(watch.lines))[-1]


def assert_all_six_were_seen(summary: Document) -> None:
    assert summary["targets"][0]["threads"] == WORKERS + 1
    assert group_at(summary, "wait_for_ever")["count"] == WORKERS
    assert summary["leaks"] == []


# --- it ends --------------------------------------------------------------------------------------


@pytest.mark.fault(
    "The target lives its life",
    "it is killed (SIGKILL) during a watch, and its parent does not reap it: it stays a zombie",
    "The watch ends at once with its report of what was seen: `target exited`.",
)
@pytest.mark.all_pythons("3.8", "3.11", "3.14")
@pytest.mark.parametrize("options", [(), ("--blocking", "-q")], ids=["", "blocking"])
def test_killed_and_not_reaped(python, options):
    with (
        running("misfortunes.py", python=python) as target,
        watching(target.pid, "-n", "100ms", *options) as watch,
    ):
        watch.until("sample", 2)
        os.kill(target.pid, signal.SIGKILL)
        assert watch.status() == 0
        assert Path(f"/proc/{target.pid}").exists()  # as a zombie
    summary = summary_of(watch)
    assert summary["ended_by"] == "target exited"
    assert_all_six_were_seen(summary)


@pytest.mark.fault(
    "The target lives its life",
    "its main thread ends (`pthread_exit`) while others live on: the kernel shows a zombie",
    "Status 3: says that the main thread has ended, and how many are still there.",
)
def test_the_main_thread_ends_before_the_others():
    with running("misfortunes.py") as target:
        target.send("leave")
        wait_for(lambda: "Z" in Path(f"/proc/{target.pid}/stat").read_text().rpartition(")")[2][:3])
        run = leakscope_cli("dump", target.pid)
        os.kill(target.pid, signal.SIGKILL)
    assert run.returncode == 3, run.stderr
    assert f"the main thread of process {target.pid} has ended" in run.stderr
    assert f"{WORKERS} of its threads are still there" in run.stderr


@pytest.mark.fault(
    "The target lives its life",
    "it ends, and another process gets its PID before leakscope looks again (really: in a PID "
    "namespace, through `ns_last_pid`; also without the pidfd that older kernels lack)",
    "The watch ends with the report of the first one: `target exited`. The other is not looked at.",
)
@pytest.mark.parametrize("pidfd", [True, False], ids=["pidfd", "no pidfd"])
def test_its_pid_is_given_to_another_process(tmp_path, pidfd):
    if os.geteuid() != 0:
        pytest.skip("only root can make a PID namespace")
    if not pidfd:
        (tmp_path / "sitecustomize.py").write_text("import os\n\ndel os.pidfd_open\n")
    run = subprocess.run(
        [*ALONE, sys.executable, "-m", "tests.faults.pid_again", str(tmp_path)],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=90,
    )
    if "unshare failed" in run.stderr:
        pytest.skip(f"no PID namespaces here: {run.stderr.strip()}")
    assert run.returncode == 0, run.stderr
    summary = json.loads(run.stdout)
    assert summary["ended_by"] == "target exited"
    assert summary["targets"][0]["command"][-1].endswith("misfortunes.py")
    assert_all_six_were_seen(summary)


# --- it becomes another program -------------------------------------------------------------------


def assert_it_was_noticed(watch: Watching) -> None:
    assert watch.status() == 0
    summary = summary_of(watch)
    assert summary["ended_by"] == "target became another program"
    assert_all_six_were_seen(summary)


@pytest.mark.fault(
    "The target lives its life",
    "it executes a program that is not Python's, under the same PID and start time",
    "The watch ends with the report of what was there before: `target became another program`.",
)
@pytest.mark.all_pythons("3.8", "3.11", "3.14")
def test_it_becomes_a_program_that_is_not_pythons(python):
    with running("misfortunes.py", python=python) as target:
        with watching(target.pid, "-n", "100ms") as watch:
            watch.until("sample", 2)
            target.send("become /bin/sleep 600")
            assert_it_was_noticed(watch)
        os.kill(target.pid, signal.SIGKILL)


@pytest.mark.fault(
    "The target lives its life",
    "it executes another Python, or the same one with another script: PID, start time and perhaps "
    "the executable stay the same",
    "The watch ends with the report of what was there before: `target became another program`; "
    "nothing is mixed.",
)
@pytest.mark.parametrize("other", ["the same Python", "another Python"])
@pytest.mark.parametrize("options", [(), ("--blocking", "-q")], ids=["", "blocking"])
def test_it_becomes_another_python_program(other, options):
    others = [path for version, path in find_pythons().items() if version in ("3.8", "3.14")]
    if other == "another Python" and not others:
        pytest.skip("no other Python here")
    python = others[0] if other == "another Python" else sys.executable
    with running("misfortunes.py") as target:
        with watching(target.pid, "-n", "100ms", *options) as watch:
            watch.until("sample", 2)
            target.send(f"become {python} {PROGRAMS / 'leaky_service.py'}")
            assert_it_was_noticed(watch)
        assert target.read_line() == "ready"
        assert target.tell("count") == "leaked 0"


@pytest.mark.fault(
    "The target lives its life",
    "it forks, and the child has threads of its own",
    "The child is another process: its threads are not counted. It can be looked at by its PID.",
)
@pytest.mark.all_pythons("3.8", "3.11", "3.14")
def test_it_forks(python):
    with running("misfortunes.py", python=python) as target:
        with watching(target.pid, "-n", "100ms") as watch:
            watch.until("sample", 2)
            child = int(target.tell("fork").split()[1])
            watch.until("sample", 3)
            watch.process.terminate()
            assert watch.status() == 0
        of_child = checked(leakscope_cli("dump", child, "--json").stdout)
        os.kill(child, signal.SIGKILL)
    assert_all_six_were_seen(summary_of(watch))
    assert of_child["targets"][0]["threads"] == 1 + 3


# --- it is just starting, or does next to nothing -------------------------------------------------


@pytest.mark.fault(
    "The target lives its life",
    "it was started 0 to 30 ms ago, and Python is not up yet",
    "The look is tried again until it succeeds; a watch goes on from there.",
)
@pytest.mark.all_pythons("3.8", "3.11", "3.14")
def test_it_is_just_starting(python, figures):
    failures = []
    for after_ms in range(0, 30, 2):
        with started_now(python) as pid:
            time.sleep(after_ms / 1000)
            seen = first_sample(pid)
            # A tick is a sample without stacks: the watch goes on, and reads them at the next.
            if not isinstance(seen, Snapshot | Tick):
                failures.append(f"after {after_ms} ms: {seen!r}")
    figures.tried("looks at a Python that was just starting", 15, 15 - len(failures))
    assert failures == []


@contextlib.contextmanager
def started_now(python: Path) -> Iterator[int]:
    """A program from the moment of its exec."""
    with subprocess.Popen(
        [python, PROGRAMS / "misfortunes.py"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        yield process.pid
        process.kill()


def first_sample(pid: int) -> object:
    """What a watch gets first, without the time that a command line takes to start."""
    stop = Stop(pid)
    try:
        return next(iter(LiveSource(pid, Schedule(0.2, count=2), stop).samples()))
    except LeakscopeError as error:
        return error
    finally:
        stop.close()


@pytest.mark.fault(
    "The target lives its life",
    "it has no thread but the main one",
    "One group of one thread; `clean` when watched for long enough.",
)
@pytest.mark.all_pythons("3.8", "3.11", "3.14")
def test_it_has_no_thread_but_main(python):
    with subprocess.Popen([python, "-c", "print(flush=True); input()"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        run = leakscope_cli("watch", process.pid, "--json", "--count", "2", "-n", "100ms")
        process.kill()
    summary = checked_lines(run.stdout)[-1]
    assert (run.returncode, run.stderr) == (0, "")
    assert summary["targets"][0]["threads"] == 1
    # It may have been on its way into `input` at first, which is a group of its own.
    assert sum(group["count"] for group in summary["groups"]) == 1


# --- it is held by somebody else ------------------------------------------------------------------


@pytest.mark.fault(
    "The target lives its life",
    "it is stopped (SIGSTOP) and continued during a watch",
    "Samples go on: a dump that doesn't stop the target needs no running one. Nothing is judged by "
    "the pause.",
)
@pytest.mark.all_pythons("3.8", "3.11", "3.14")
def test_it_is_stopped_and_continued(python):
    with running("misfortunes.py", python=python) as target:
        with watching(target.pid, "-n", "100ms") as watch:
            watch.until("sample", 2)
            os.kill(target.pid, signal.SIGSTOP)
            watch.until("sample", 4)
            os.kill(target.pid, signal.SIGCONT)
            watch.until("sample", 2)
            watch.process.terminate()
            assert watch.status() == 0
        assert target.tell("count") == "threads 6"
    assert_all_six_were_seen(summary_of(watch))


@contextlib.contextmanager
def traced(pid: int) -> Iterator[int]:
    """Have all threads of a process traced; the PID of the tracer."""
    with running("tracer.py", str(pid)) as tracer:
        wait_for(lambda: tracers(pid) == {tracer.pid})
        yield tracer.pid


@pytest.mark.fault(
    "The target lives its life",
    "somebody else traces it (as strace or a debugger does) during a watch",
    "Samples go on: reading without stopping needs no tracing.",
)
@pytest.mark.all_pythons("3.8", "3.11", "3.14")
def test_it_is_traced_by_somebody_else(python):
    with running("misfortunes.py", python=python) as target:
        with traced(target.pid):
            run = leakscope_cli("watch", target.pid, "--json", "--count", "3", "-n", "100ms")
        assert target.tell("count") == "threads 6"
    assert (run.returncode, run.stderr) == (0, "")
    assert_all_six_were_seen(checked_lines(run.stdout)[-1])


@pytest.mark.fault(
    "The target lives its life",
    "somebody else traces it during a watch with `--blocking`: only one can trace a process",
    "Missed samples that name the process that traces it; the watch goes on when it lets go.",
)
def test_it_is_traced_by_somebody_else_in_a_blocking_watch():
    with running("misfortunes.py") as target:
        with watching(target.pid, "-n", "100ms", "--blocking", "-q") as watch:
            watch.until("sample")
            with running_tracer_between_dumps(target.pid) as tracer:
                missed = watch.until("missed")
            watch.until("sample", 2)
            watch.process.terminate()
            assert watch.status() == 0
        assert runs_untraced(target.pid)
    assert f"is traced by process {tracer}" in missed["reason"]
    assert_all_six_were_seen(summary_of(watch))


@contextlib.contextmanager
def running_tracer_between_dumps(pid: int) -> Iterator[int]:
    """A tracer; it fails to begin while py-spy itself traces, so it is tried again."""
    for _ in range(50):
        tracer = subprocess.Popen(
            [sys.executable, PROGRAMS / "tracer.py", str(pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert tracer.stdout is not None
        if tracer.stdout.readline() == b"ready\n":
            break
        tracer.communicate()
    try:
        yield tracer.pid
    finally:
        tracer.communicate()
