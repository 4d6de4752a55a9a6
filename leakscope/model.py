"""The values that everything else speaks in: frames, threads, samples. Immutable; no clock, no I/O.

Two clocks are kept apart. `taken_at` and other `*_at` are Unix seconds, for people. `*_s` are
seconds on a monotonic scale whose zero is the first look of a watch, for arithmetic; what happened
before the watch is negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Frame(NamedTuple):
    """One frame of a Python stack, with function and file as py-spy gave them."""

    function: str
    filename: str
    line: int  # from 1; 0 or less where py-spy does not know it


Frames = tuple[Frame, ...]  # innermost first, always


class ThreadKey(NamedTuple):
    """What names a thread for ever. A TID alone does not: the kernel hands it out again.

    `handle` is py-spy's `thread_id`, the address of the pthread. It is set only where the kernel's
    own id could not be learnt (Python 3.8 to 3.10, read without stopping the target), and then
    `tid` and `start_ticks` are None.
    """

    pid: int
    tid: int | None
    start_ticks: int | None  # clock ticks since boot, field 22 of /proc/PID/task/TID/stat
    handle: int | None = None


class RunState(StrEnum):
    """What a thread was doing when it was looked at."""

    BLOCKED = "blocked"
    RUNNING = "running"
    UNKNOWN = "unknown"  # the kernel could not be asked
    RAN = "ran"  # it has run since its stack was read: what it does now was not looked at


class Parking(NamedTuple):
    """Where in the kernel a thread sleeps: facts of /proc, None where they could not be read."""

    syscall: int | None = None  # number on x86-64
    wchan: str | None = None  # the kernel function that it sleeps in, such as futex_do_wait
    deadline: bool | None = None  # it will wake up by itself; False: it waits for ever
    futex: int | None = None  # address of the lock, in the target's memory
    child: int | None = None  # PID of the process that it waits for
    peer: str | None = None  # address and port at the other end of the socket that it reads
    accepted: bool | None = None  # the peer made the connection: it is a client of this process


NOT_KNOWN = Parking()


@dataclass(frozen=True, slots=True)
class ThreadSample:
    """One thread as one sample saw it."""

    key: ThreadKey
    name: str | None
    frames: Frames
    state: RunState
    born_s: float | None = None  # when the thread began; None where the kernel was not asked
    parking: Parking = NOT_KNOWN
    runs: int | None = None  # times that it was scheduled away since it began
    cpu_ticks: int | None = None  # CPU time used since it began
    held_still: bool = True  # it did not run while its stack was read, as far as is known


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All threads of a target at one moment."""

    taken_at: float
    elapsed_s: float
    threads: tuple[ThreadSample, ...]
    os_threads: int | None = None  # threads that the kernel counts
    native: int | None = None  # of these, those that are not Python's and so have no stack here
    tries: int = 1  # dumps that it took to get this one
    is_stopped: bool = False  # something held its main thread when it was looked at


@dataclass(frozen=True, slots=True)
class Missed:
    """A sample that could not be had: a gap in the data, which is not a sample without threads."""

    taken_at: float
    elapsed_s: float
    reason: str
    tries: int = 1


class Counts(NamedTuple):
    """What the kernel counts of a thread since it began; None where it does not."""

    runs: int | None  # times that it was put on a CPU
    cpu_ticks: int | None


@dataclass(frozen=True, slots=True)
class Tick:
    """A sample of what the kernel alone tells: who is there, and who has run. No stack was read.

    A thread that has not run since its stack was read still has that stack.
    """

    taken_at: float
    elapsed_s: float
    counts: Mapping[ThreadKey, Counts]  # of those that are new or ran since the sample before
    ended: Sequence[ThreadKey]  # since the sample before
    births_s: Mapping[ThreadKey, float]  # when each began; of all threads in `counts` at least
    os_threads: int
    native: int | None = None
    unread: str | None = None  # why no stacks were read though it was time to
    tries: int = 0  # dumps that failed
    is_stopped: bool = False  # as of a Snapshot


Sample = Snapshot | Tick | Missed


class Ran(NamedTuple):
    """A thread that was scheduled since the last look."""

    key: ThreadKey
    runs: int  # times that it was scheduled away since then
    cpu_ticks: int


@dataclass(frozen=True, slots=True)
class Changes:
    """A sample, told as what changed since the one before. The first one changes everything."""

    taken_at: float
    elapsed_s: float
    began: tuple[ThreadSample, ...] = ()
    changed: tuple[ThreadSample, ...] = ()
    ended: tuple[ThreadKey, ...] = ()
    ran: tuple[Ran, ...] = ()  # of the threads that were there before
    os_threads: int | None = None
    native: int | None = None
    tries: int = 1
    stacks_read: bool = True  # False: only counters were looked at
    unread: str | None = None  # why no stacks were read though it was time to
    is_stopped: bool = False  # as of a Snapshot


@dataclass(frozen=True, slots=True)
class Target:
    """The process that is watched."""

    pid: int
    started_at: float | None = None
    command: tuple[str, ...] = ()
    python: str | None = None  # "3.11.7"; None where it could not be told
    began_s: float | None = None  # when it began, on the scale of the watch
