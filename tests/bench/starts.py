"""How long commands take that end at once: start-up, and one look."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from leakscope.sources.pyspy import find_pyspy
from tests.bench.processes import run
from tests.bench.tools import leakscope
from tests.running import running

TIMES = 15


@dataclass(frozen=True, slots=True)
class Starts:
    """Seconds, the median of each."""

    python: float  # `python -c pass`
    version: float
    help: float


@dataclass(frozen=True, slots=True)
class Looks:
    """One look at a process of so many threads; seconds, the median of each."""

    threads: int
    pyspy: float  # as anyone calls it, which stops the process
    pyspy_nonblocking: float  # as leakscope calls it
    leakscope: float
    leakscope_json: float


def starts(times: int = TIMES) -> Starts:
    """Start-up, beside that of Python itself."""
    commands = ((sys.executable, "-c", "pass"), leakscope("--version"), leakscope("--help"))
    return Starts(*_medians(commands, times))


def looks(threads: int, times: int = TIMES) -> Looks:
    """One look at a quiet process, beside py-spy's own."""
    with running("under_watch.py", "--threads", str(threads - 1)) as target:
        pid = str(target.pid)
        pyspy = (find_pyspy(), "dump", "--json", "--pid", pid)
        commands = (
            pyspy,
            (*pyspy, "--nonblocking"),
            leakscope("dump", pid),
            leakscope("dump", pid, "--json"),
        )
        return Looks(threads, *_medians(commands, times))


def _medians(commands: Sequence[Sequence[str]], times: int) -> list[float]:
    """The commands in turn, so that whatever else the machine does hits all of them alike."""
    took: list[list[float]] = [[] for _ in commands]
    for turn in range(times + 1):
        for command, seconds in zip(commands, took, strict=True):
            done = run(*command)
            if done.status:
                raise AssertionError(f"status {done.status}: {' '.join(command)}")
            if turn:  # the first one finds cold caches
                seconds.append(done.took_s)
    return [median(seconds) for seconds in took]
