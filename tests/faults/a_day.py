"""A day in the life of a process that makes a million short-lived threads, by synthetic samples.

`python -m tests.faults.a_day` runs them through the engine, judging all after each simulated hour,
and prints the resident memory at each of these hours, in KiB, as a JSON list.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from leakscope.changes import Differ
from leakscope.engine import Engine
from leakscope.model import Frames, Snapshot
from tests.faults.processes import resident_kib
from tests.samples import EXECUTOR_IDLE, own, pool, report_of, snapshot, started, thread

DAY_S, HOUR_S = 86_400, 3600
EACH_S = 10
MADE = 1_000_000
# Threads that live through the whole day, in one pool.
STEADY = 20
# Stacks that the short-lived ones are seen in: as many as a large program has, and then new ones.
STACKS = 5000


def stack_of(number: int) -> Frames:
    """What a short-lived thread does, somewhere in a large program that is deployed anew hourly."""
    return started(own(f"handle_{number % STACKS}_{number // 40_000}", number % 700))


def day() -> Iterator[Snapshot]:
    """The looks of a day; each short-lived thread is seen once."""
    steady = [life.seen(0.0, kernel=True) for life in pool(STEADY, EXECUTOR_IDLE)]
    looks = DAY_S // EACH_S
    made = STEADY
    for look in range(looks):
        at = float(look * EACH_S)
        until = STEADY + MADE * (look + 1) // looks
        short = [
            thread(number, stack_of(number), born_s=at - 0.1, runs=1, cpu_ticks=0)
            for number in range(made + 1, until + 1)
        ]
        made = until
        yield snapshot(*steady, *short, at=at)


def main() -> None:
    """Feed the engine."""
    engine, differ = Engine(), Differ()
    hours = []
    for sample in day():
        engine.observe(differ.changes(sample))
        if (sample.elapsed_s + EACH_S) % HOUR_S == 0:
            assert not report_of(engine).leaks
            hours.append(resident_kib(os.getpid()))
    print(json.dumps(hours))


if __name__ == "__main__":
    main()
