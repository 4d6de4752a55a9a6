"""What can be asked of a leak, to tell its cause: what it waits for, where, its threads' names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from leakscope.leaks import Leak
from leakscope.model import Frames
from leakscope.places import Place, passes, place
from leakscope.policy import Trend
from leakscope.pools import is_connection_reader, is_idle_executor, pool_of, waiting_place
from leakscope.stacks import is_own_code, is_stdlib, own_part, portable_path, site

# Fewer executors than this can be had by design: one for reads, one for writes.
_MANY_EXECUTORS = 3
_NUMBERED = re.compile(r"-\d+$")
_LOOP_WORKER = re.compile(r"asyncio_\d+$")
_POOL_HANDLERS = tuple(
    place(f"multiprocessing/pool:Pool._handle_{what}") for what in ("workers", "tasks", "results")
)


class Case(NamedTuple):
    """What a row may look at: the leak, and the names of its threads."""

    leak: Leak
    names: Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Stack:
    """What a leak waits for and, unless None, a place that its stack goes through."""

    waits: frozenset[str]  # empty: whatever it waits for
    through: Place | None = None

    def __call__(self, case: Case) -> bool:
        return (not self.waits or case.leak.wait in self.waits) and (
            self.through is None or passes(case.leak.frames, self.through)
        )


def waiting(*waits: str, through: str | None = None) -> Stack:
    """Threads that wait for one of these, on a stack that goes through a place."""
    return Stack(frozenset(waits), place(through) if through else None)


def is_runaway(case: Case) -> bool:
    """Threads that never wait."""
    return case.leak.trend is Trend.RUNAWAY


def is_worker_of_loops(case: Case) -> bool:
    """Idle workers of the default executors of several event loops: `asyncio_0` more than once."""
    known = [name for name in case.names if name]
    return (
        is_idle_executor(case.leak.frames)
        and bool(known)
        and all(map(_LOOP_WORKER.match, known))
        and len(set(known)) < len(known)
    )


def is_of_many_executors(case: Case) -> bool:
    """Idle workers whose names prove that there are many executors."""
    return is_idle_executor(case.leak.frames) and executors(case.names) >= _MANY_EXECUTORS


def executors(names: Sequence[str | None]) -> int:
    """How many executors these thread names prove: `ThreadPoolExecutor-N_M` has the number N.

    A prefix of the user's own has none; there the same name twice is what tells two apart.
    """
    named = Counter(name for name in names if name)
    pools: dict[str, int] = {}
    for name, times in named.items():
        pool = pool_of(name)
        if pool is not None:
            same = 1 if _NUMBERED.search(pool) else times
            pools[pool] = max(pools.get(pool, 0), same)
    return sum(pools.values())


def is_idle_worker(case: Case) -> bool:
    """Workers of an executor with nothing to do."""
    return is_idle_executor(case.leak.frames)


def is_of_multiprocessing_pool(case: Case) -> bool:
    """The helper threads of a multiprocessing pool, or the idle workers of a ThreadPool."""
    frames = case.leak.frames
    return waiting_place(frames) == ("multiprocessing/pool.py", "worker") or any(
        passes(frames, handler) for handler in _POOL_HANDLERS
    )


def is_client_handler(case: Case) -> bool:
    """Handlers of a server, each waiting for its client."""
    return case.leak.wait in (None, "socket.recv", "select") and is_connection_reader(
        case.leak.frames
    )


def is_of_library(case: Case) -> bool:
    """Threads that a package started for itself: no code of the user's own on their stack."""
    return library_of(case.leak.frames) is not None


def library_of(frames: Frames) -> str | None:
    """The package that a thread belongs to; None if it is of the user's own code or Python's."""
    innermost = site(frames)
    if (
        innermost is None
        or is_stdlib(innermost.filename)
        or any(is_own_code(frame.filename) for frame in own_part(frames))
    ):
        return None
    return portable_path(innermost.filename).split("/")[0].removesuffix(".py")
