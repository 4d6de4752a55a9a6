"""py-spy or leakscope is killed at any moment, or hangs: the target runs on, untraced."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.documents import checked_lines
from tests.faults.figures import Figures
from tests.faults.processes import (
    is_there,
    runs_untraced,
    started_pyspys,
    thread_states,
    tracers,
    wait_for,
)
from tests.integration.faults import PASSING, FaultyPySpy
from tests.pythons import find_pythons
from tests.running import Target, Watching, leakscope_cli, running, watching

pytestmark = pytest.mark.attach

MANY = 500  # threads: a blocking dump of so many holds them for 0.1 s and more
KILLS, KILLS_IN_ACCEPTANCE = 50, 1000
ENDS, ENDS_IN_ACCEPTANCE = 12, 100


@contextlib.contextmanager
def big(python: Path | str = sys.executable) -> Iterator[Target]:
    """A target with many threads."""
    with running("misfortunes.py", python=python) as target:
        target.tell(f"threads {MANY - 6}")
        yield target


def free_again(pid: int) -> bool:
    """Whether nobody holds a process any more, or soon after."""
    with contextlib.suppress(AssertionError):
        wait_for(lambda: runs_untraced(pid), "held on")
        return len(thread_states(pid)) == MANY
    return False


def kill_in_mid_dump(leakscope: int, target: int, chance: random.Random) -> bool:
    """Kill the py-spy that traces the target, somewhere on its way; whether there was one."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for pyspy in started_pyspys(leakscope):
            if is_tracing(pyspy, target):
                time.sleep(chance.uniform(0, 0.1))
                if not is_tracing(pyspy, target):
                    continue  # it was quicker
                os.kill(pyspy, signal.SIGKILL)
                wait_for(partial(has_ended, pyspy))
                return True
        time.sleep(0.002)
    return False


def has_ended(pid: int) -> bool:
    return not is_there(pid)


def is_tracing(pyspy: int, target: int) -> bool:
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{target}/status").read_text()
        return f"TracerPid:\t{pyspy}\n" in status
    return False


def samples_of(watch: Watching) -> int:
    """How many samples a watch has told so far."""
    return sum('"type":"sample"' in line[:40] for line in watch.lines)


def kill_pyspys(python: Path, version: str, times: int, figures: Figures) -> None:
    """Kill py-spy so often in one blocking watch, and see that nothing comes of it."""
    chance = random.Random(version)
    killed = survived = 0
    with big(python) as target:
        options = ("--blocking", "-q", "-n", "150ms")
        with watching(target.pid, *options, timeout_s=times * 3 + 60) as watch:
            watch.until("sample")
            with ThreadPoolExecutor(1) as reader:  # or the pipe fills up
                status = reader.submit(watch.status)
                while killed < times and kill_in_mid_dump(watch.process.pid, target.pid, chance):
                    killed += 1
                    survived += free_again(target.pid)
                    assert watch.process.poll() is None, watch.stderr()
                # As each try may have been killed, the samples of these are all missed.
                seen = samples_of(watch)
                wait_for(lambda: samples_of(watch) >= seen + 3, "the watch goes on")
                watch.process.terminate()
                assert status.result() == 0
        assert target.tell("count") == f"threads {MANY}"
        assert free_again(target.pid)
    summary = checked_lines("".join(watch.lines))[-1]
    figures.tried("SIGKILLs of py-spy in mid-dump, target running and untraced", killed, survived)
    assert killed == survived == times
    assert summary["ended_by"] == "signal"
    assert summary["targets"][0]["threads"] == MANY
    assert summary["leaks"] == []


@pytest.mark.fault(
    "py-spy and leakscope",
    "py-spy is killed (SIGKILL) in the middle of a blocking dump of 500 threads, 50 times",
    "The kernel lets go of the target: it runs, untraced. The dump is tried again, the watch goes "
    "on and ends with its report.",
)
def test_py_spy_is_killed_in_mid_dump(figures):
    versions = [v for v in ("3.11", "3.14") if v in find_pythons()]
    with ThreadPoolExecutor() as side_by_side:
        runs = [
            side_by_side.submit(kill_pyspys, find_pythons()[v], v, KILLS // len(versions), figures)
            for v in versions
        ]
        for run in runs:
            run.result()


@pytest.mark.fault(
    "py-spy and leakscope",
    "py-spy is killed so 1000 times",
    "The same, each time.",
)
@pytest.mark.slow
def test_py_spy_is_killed_a_thousand_times(figures):
    kill_pyspys(find_pythons()["3.11"], "3.11", KILLS_IN_ACCEPTANCE, figures)


# --- leakscope is killed --------------------------------------------------------------------------


def kill_leakscope(target: Target, options: tuple[str, ...], after_s: float) -> bool:
    """Kill leakscope at a moment; whether the target runs on and no py-spy is left over."""
    with watching(target.pid, "-n", "100ms", *options) as watch:
        time.sleep(after_s)
        pyspys = started_pyspys(watch.process.pid)
        watch.process.kill()
        watch.process.wait()
        with contextlib.suppress(AssertionError):
            wait_for(lambda: not any(map(is_there, pyspys)), "a py-spy that was left over")
            return free_again(target.pid)
    return False


def kill_leakscopes(times: int, figures: Figures) -> None:
    def kill(*options: str) -> bool:
        chance = random.Random(1)
        with big() as target:
            # It takes about a third of a second to start: before that, and in its first dumps.
            survived = [
                kill_leakscope(target, options, chance.uniform(0.1, 1.2)) for _ in range(times)
            ]
            assert target.tell("count") == f"threads {MANY}"
        what = f"SIGKILLs of leakscope {' '.join(options)}".rstrip()
        figures.tried(f"{what}, target running and untraced", times, sum(survived))
        return all(survived)

    with ThreadPoolExecutor() as side_by_side:
        runs = [side_by_side.submit(kill, *options) for options in ((), ("--blocking",))]
        assert all(run.result() for run in runs)


@pytest.mark.fault(
    "py-spy and leakscope",
    "leakscope is killed (SIGKILL) at any moment, blocking or not",
    "The target runs on, untraced. A blocking py-spy is killed with leakscope; another one ends by "
    "itself.",
)
def test_leakscope_is_killed(figures):
    kill_leakscopes(ENDS, figures)


@pytest.mark.fault(
    "py-spy and leakscope",
    "leakscope is killed so 200 times",
    "The same, each time.",
)
@pytest.mark.slow
def test_leakscope_is_killed_many_times(figures):
    kill_leakscopes(ENDS_IN_ACCEPTANCE, figures)


# --- py-spy hangs, really -------------------------------------------------------------------------


@contextlib.contextmanager
def uninterruptible() -> Iterator[Target]:
    """A target one thread of which cannot be stopped by anybody: it waits for its vfork child."""
    with running("misfortunes.py") as target:
        child = int(target.tell("vfork").split()[1])
        wait_for(lambda: "D" in thread_states(target.pid).values())
        try:
            yield target
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.fault(
    "py-spy and leakscope",
    "a blocking py-spy hangs: a thread of the target is in an uninterruptible sleep, which no "
    "tracer can end, and all the others are held meanwhile",
    "It is ended after a timeout (10 s; 2 s in this test), and the target runs on. Missed samples.",
)
def test_a_blocking_py_spy_hangs(tmp_path):
    patched = FaultyPySpy(tmp_path, PASSING, timeout_s=2)
    with uninterruptible() as target, hanging_watch(target, patched.env) as watch:
        missed = watch.until("missed")
        watch.process.terminate()
        watch.status()
        assert not tracers(target.pid)
        assert target.tell("count") == "threads 7"
    assert "did not answer within 2 s" in missed["reason"]


@pytest.mark.fault(
    "py-spy and leakscope",
    "leakscope is killed while a blocking py-spy hangs so",
    "The kernel kills py-spy with leakscope, so that nobody holds the target.",
)
def test_leakscope_is_killed_while_py_spy_hangs():
    with uninterruptible() as target, hanging_watch(target, {}) as watch:
        wait_for(lambda: tracers(target.pid), "py-spy has come")
        watch.process.kill()
        wait_for(lambda: not tracers(target.pid), "py-spy has gone")
        assert target.tell("count") == "threads 7"


@contextlib.contextmanager
def hanging_watch(target: Target, env: dict[str, str]) -> Iterator[Watching]:
    with watching(target.pid, "--blocking", "-q", "-n", "100ms", env=env) as watch:
        yield watch


# --- py-spy is not there, or not as it should be --------------------------------------------------


@pytest.mark.fault(
    "py-spy and leakscope",
    "py-spy is there, but may not be executed",
    "Status 5: says so, and how to install it.",
)
def test_a_py_spy_that_is_not_executable(tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "py-spy").write_text("#!/bin/sh\n")
    # Its own folder is looked in first, then what was installed: neither has one to execute.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.metadata as m, os, sys, sysconfig\n"
        f"sys.executable = {str(folder / 'python')!r}\n"
        f"sysconfig.get_path = lambda name: {str(folder)!r}\n"
        "def distribution(name):\n    raise m.PackageNotFoundError(name)\n"
        "m.distribution = distribution\n"
    )
    with running("misfortunes.py") as target:
        run = leakscope_cli("dump", target.pid, env={"PYTHONPATH": str(tmp_path)})
    assert (run.returncode, run.stdout) == (5, "")
    assert "is missing or not executable" in run.stderr
    assert "pip install py-spy" in run.stderr


@pytest.mark.fault(
    "py-spy and leakscope",
    "another py-spy, or four, look at the same process at the same time, blocking",
    "What is refused is tried again: only one can trace at a time.",
)
def test_several_blocking_watches_at_once():
    with big() as target:
        command = [sys.executable, "-m", "leakscope", "watch", str(target.pid), "--json", "-q"]
        command += ["--blocking", "-n", "400ms", "--count", "3"]
        watches = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        outputs = [watch.communicate(timeout=90)[0] for watch in watches]
        assert free_again(target.pid)
    assert [watch.returncode for watch in watches] == [0, 0, 0]
    for output in outputs:
        summary = checked_lines(output)[-1]
        assert summary["samples"] >= 1
        assert summary["targets"][0]["threads"] == MANY
