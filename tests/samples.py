"""Threads and snapshots by script: what py-spy and the kernel would have said, without either.

A `Life` is a thread from its beginning to its end; `series` looks at many lives at even times, and
`watched` gives what it saw to an engine. Nothing here sleeps: time is a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from leakscope.engine import Engine
from leakscope.leaks import Leak
from leakscope.model import (
    NOT_KNOWN,
    Frame,
    Frames,
    Missed,
    Parking,
    RunState,
    Sample,
    Snapshot,
    Target,
    ThreadKey,
    ThreadSample,
)
from leakscope.policy import Trend
from leakscope.report import EndedBy, Kind, Report
from leakscope.stacks import last_part

PID = 4711
LIB = "/usr/lib/python3.11"
LIB_38 = "/opt/python/lib/python3.8"
APP = "/srv/app/jobs.py"
TAKEN_AT = 1_700_000_000.0
LONG_AGO_S = -3600.0

BOOTSTRAP = (
    Frame("Thread._bootstrap_inner", f"{LIB}/threading.py", 1045),
    Frame("Thread._bootstrap", f"{LIB}/threading.py", 1002),
)
THREAD_RUN = Frame("Thread.run", f"{LIB}/threading.py", 982)


def lib(file: str, function: str, line: int = 7) -> Frame:
    """A frame of the standard library."""
    return Frame(function, f"{LIB}/{file}", line)


def own(function: str = "consume", line: int = 41, filename: str = APP) -> Frame:
    """A frame of the user's own code."""
    return Frame(function, filename, line)


def started(*inner: Frame) -> Frames:
    """The stack of a thread that was started with `Thread(target=...)`."""
    return (*inner, THREAD_RUN, *BOOTSTRAP)


def run_by(*inner: Frame) -> Frames:
    """The stack of a thread of a subclass of Thread with a `run` of its own."""
    return (*inner, *BOOTSTRAP)


def as_read_on_38(frames: Frames) -> Frames:
    """The same stack as py-spy gives it for Python 3.8: bare names, that version's folder."""
    return tuple(
        Frame(last_part(frame.function), frame.filename.replace(LIB, LIB_38), frame.line)
        for frame in frames
    )


CONDITION_WAIT = lib("threading.py", "Condition.wait", 327)
EVENT_WAIT = lib("threading.py", "Event.wait", 629)

QUEUE_GET = started(CONDITION_WAIT, lib("queue.py", "Queue.get", 171), own())
EXECUTOR_IDLE = started(lib("concurrent/futures/thread.py", "_worker", 81))
EXECUTOR_STUCK = started(
    own("fetch", 12),
    lib("concurrent/futures/thread.py", "_WorkItem.run", 58),
    lib("concurrent/futures/thread.py", "_worker", 83),
)
TIMER = run_by(CONDITION_WAIT, EVENT_WAIT, lib("threading.py", "Timer.run", 1376))
FLUSHER = run_by(CONDITION_WAIT, EVENT_WAIT, own("Flusher.run", 9))
REQUEST = started(own("query", 88), own("handle_request", 20))
MAIN = (own("<module>", 200),)

POOL_WORKER = started(lib("multiprocessing/pool.py", "worker", 114))
POOL_TASKS = started(
    CONDITION_WAIT,
    lib("queue.py", "Queue.get", 171),
    lib("multiprocessing/pool.py", "Pool._handle_tasks", 531),
)
POOL_RESULTS = started(
    CONDITION_WAIT,
    lib("queue.py", "Queue.get", 171),
    lib("multiprocessing/pool.py", "Pool._handle_results", 579),
)
POOL_WORKERS = started(
    lib("selectors.py", "_PollLikeSelector.select", 415),
    lib("multiprocessing/connection.py", "wait", 930),
    lib("multiprocessing/pool.py", "Pool._wait_for_updates", 502),
    lib("multiprocessing/pool.py", "Pool._handle_workers", 522),
)


def key(number: int) -> ThreadKey:
    """What names the thread with this number."""
    return ThreadKey(PID, PID + number, 1000 + number)


def thread(
    number: int = 1,
    frames: Frames = QUEUE_GET,
    *,
    name: str | None = "",
    state: RunState = RunState.BLOCKED,
    born_s: float | None = None,
    parking: Parking = NOT_KNOWN,
    runs: int | None = None,
    cpu_ticks: int | None = None,
) -> ThreadSample:
    """One thread in one sample; blocked in Queue.get, and named for its number, unless said."""
    named = f"Thread-{number}" if name == "" else name
    return ThreadSample(key(number), named, frames, state, born_s, parking, runs, cpu_ticks)


def snapshot(*threads: ThreadSample, at: float = 0.0, tries: int = 1) -> Snapshot:
    """All threads at one moment."""
    return Snapshot(TAKEN_AT + at, at, threads, len(threads), 0, tries)


def missed(at: float) -> Missed:
    """A sample that could not be had."""
    return Missed(TAKEN_AT + at, at, "py-spy: Bad address (os error 14)", 5)


@dataclass(frozen=True)
class Life:
    """A thread from its beginning to its end; `frames` and `runs` may change with time."""

    number: int
    began_s: float = LONG_AGO_S
    ended_s: float = math.inf
    frames: Frames | Callable[[float], Frames] = QUEUE_GET
    name: str | None = ""
    state: RunState = RunState.BLOCKED
    runs: Callable[[float], int] = lambda at: 1

    def seen(self, at: float, *, kernel: bool) -> ThreadSample:
        """The thread at one moment; without the kernel's facts if there was no kernel to ask."""
        return thread(
            self.number,
            self.frames(at) if callable(self.frames) else self.frames,
            name=self.name,
            state=self.state,
            born_s=self.began_s if kernel else None,
            runs=self.runs(at) if kernel else None,
            cpu_ticks=0 if kernel else None,
        )


def lives(
    moments: Iterable[float],
    frames: Frames = QUEUE_GET,
    *,
    first: int,
    lasting_s: float = math.inf,
    names: str = "Thread-{}",
    runs: Callable[[float], int] = lambda at: 1,
) -> list[Life]:
    """A thread for each moment, numbered from `first` on; each lasts as long."""
    return [
        Life(first + i, began_s, began_s + lasting_s, frames, names.format(i), runs=runs)
        for i, began_s in enumerate(moments)
    ]


def every(gap_s: float, *, begin_s: float, end_s: float) -> list[float]:
    """Moments at even times."""
    return [begin_s + i * gap_s for i in range(int((end_s - begin_s) / gap_s))]


def pool(size: int, frames: Frames = EXECUTOR_IDLE, *, first: int = 1) -> list[Life]:
    """Threads that were all there, and idle, long before the watch; started within a moment."""
    moments = [LONG_AGO_S + 0.001 * i for i in range(size)]
    return lives(moments, frames, first=first, names="pool_{}")


def series(
    threads: Iterable[Life],
    *,
    until_s: float,
    interval_s: float = 1.0,
    kernel: bool = True,
    without: Collection[int] = (),
) -> Iterator[Sample]:
    """Looks at even times, newest thread first; those whose number is in `without` are missed."""
    newest_first = sorted(threads, key=lambda life: (-life.began_s, life.number))
    for look in range(int(until_s / interval_s + 1e-9) + 1):
        at = look * interval_s
        if look in without:
            yield missed(at)
            continue
        alive = (life for life in newest_first if life.began_s <= at < life.ended_s)
        yield snapshot(*(life.seen(at, kernel=kernel) for life in alive), at=at)


class Watched:
    """What an engine said after each look of a series, and at its end."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self.engine = Engine()
        self.leaks_at: dict[float, tuple[Leak, ...]] = {}
        self.trends_at: dict[float, dict[str, Trend]] = {}
        for sample in samples:
            self.engine.observe(sample)
            findings = self.engine.findings()
            self.leaks_at[sample.elapsed_s] = findings.leaks
            self.trends_at[sample.elapsed_s] = {
                judged.facts.id: judged.verdict.trend for judged in findings.functions
            }

    @property
    def report(self) -> Report:
        """The final report."""
        return report_of(self.engine)

    @property
    def leaks(self) -> tuple[Leak, ...]:
        """The leaks that the final report names."""
        return self.engine.findings().leaks

    @property
    def only_leak(self) -> Leak:
        """The one leak that there is."""
        (leak,) = self.leaks
        return leak

    @property
    def first_named_s(self) -> float | None:
        """When a leak was named first; None if none ever was."""
        return next((at for at, leaks in self.leaks_at.items() if leaks), None)


def watched(
    threads: Iterable[Life],
    *,
    until_s: float,
    interval_s: float = 1.0,
    kernel: bool = True,
    without: Collection[int] = (),
) -> Watched:
    """What an engine said of these threads, judged after each look."""
    return Watched(
        series(threads, until_s=until_s, interval_s=interval_s, kernel=kernel, without=without)
    )


def report_on(samples: Iterable[Sample]) -> Report:
    """The report after all these samples, judged once."""
    engine = Engine()
    for sample in samples:
        engine.observe(sample)
    return report_of(engine)


def report_of(engine: Engine) -> Report:
    """The report that this engine makes now."""
    return engine.report(Kind.SUMMARY, (Target(PID),), EndedBy.DURATION, 1.0)


def tids(leak: Leak) -> set[int | None]:
    """The kernel's ids of the threads that a leak names."""
    return {leaked.tid for leaked in leak.leaked}


def tids_of(threads: Iterable[Life]) -> set[int | None]:
    """The kernel's ids of these threads."""
    return {key(life.number).tid for life in threads}


def in_other_order(sample: Snapshot, order: Callable[[list[ThreadSample]], None]) -> Snapshot:
    """The same snapshot with its threads rearranged, in place, by `order`."""
    threads = list(sample.threads)
    order(threads)
    return replace(sample, threads=tuple(threads))
