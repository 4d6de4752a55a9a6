"""Recordings of watches that nobody waited for, made by leakscope's own recorder, and replayed.

They are as a watch writes them: times that jitter, counters that move, stacks that are shared.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from leakscope.model import Changes, Frame, Parking, Ran, RunState, Target, ThreadKey, ThreadSample
from leakscope.sources.recording import Recorder
from leakscope.tape import Head
from tests.bench.processes import run
from tests.bench.tools import leakscope

HOUR_S = 3600
DAY_S = 24 * HOUR_S
_BEGAN_AT = 1_790_000_000.0
_PID = 4711
_WORKERS = 5
_STACKS = 20
_LIB = "/usr/lib/python3.11/threading.py"
_OUTER = tuple(
    Frame(name, _LIB, line)
    for name, line in (
        ("Thread.run", 975),
        ("Thread._bootstrap_inner", 1038),
        ("Thread._bootstrap", 995),
    )
)
_FUTEX = Parking(202, "futex_do_wait", deadline=False)


@dataclass(frozen=True, slots=True)
class Replayed:
    """A recording, and what its replay took."""

    threads: int
    seconds: int  # that it is of
    bytes: int
    took_s: float
    peak_bytes: int


def replayed(threads: int, seconds: int, *, new_every_s: int | None = None) -> Replayed:
    """Write the recording of a quiet process, and replay it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "watch.jsonl.gz"
        recorder = Recorder(str(path))
        recorder.begin(Head(Target(_PID, _BEGAN_AT - 600, ("app",), "3.11.7"), 1.0))
        for look in looks(threads, seconds, new_every_s):
            recorder.record(look)
        recorder.close("duration")
        done = run(*leakscope("replay", str(path)))
        if done.status not in (0, 1):  # 1 says that it leaks
            raise AssertionError(f"the replay ended with status {done.status}")
        return Replayed(threads, seconds, path.stat().st_size, done.took_s, done.peak_bytes)


def looks(threads: int, seconds: int, new_every_s: int | None) -> Iterator[Changes]:
    """A look a second at blocked threads and five that work, perhaps with new ones now and then."""
    chance = random.Random(threads)
    there = [_thread(n, -float(threads - n)) for n in range(threads)]
    workers = [thread.key for thread in there[:_WORKERS]]
    for second in range(seconds):
        began = tuple(there) if not second else ()
        if new_every_s and second and second % new_every_s == 0:
            began = (_thread(threads, float(second) - 0.5),)
            threads += 1
        at_s = second + chance.uniform(0.0, 0.002)
        ran = tuple(Ran(key, chance.randint(40, 60), chance.randint(0, 2)) for key in workers)
        yield Changes(
            _BEGAN_AT + at_s, at_s, began, ran=ran if second else (), os_threads=threads, native=0
        )


def _thread(number: int, born_s: float) -> ThreadSample:
    stack = (
        Frame("Condition.wait", _LIB, 320),
        Frame("Queue.get", "/usr/lib/python3.11/queue.py", 171),
        *(Frame(f"wait_{number % _STACKS}_{n}", "/srv/app/jobs.py", 10 + n) for n in range(6)),
        *_OUTER,
    )
    key = ThreadKey(_PID, _PID + number, 6_000_000 + int(born_s * 100))
    name = f"Thread-{number} (wait)"
    return ThreadSample(key, name, stack, RunState.BLOCKED, born_s, _FUTEX, 1, 0)
