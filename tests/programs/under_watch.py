"""A process to be looked at, which measures what that does to it.

Commands: measure (begin anew), measured (say each second's longest stall and work done), count,
calm (end the work), quit.
"""

from __future__ import annotations

import argparse
import json
import queue
import threading
import time
from typing import Callable

from command_loop import serve

DEPTH = 6  # frames of the program's own, as in a small service
STACK_BYTES = 128 * 1024  # 4000 threads have to fit
PAUSE_S = 0.02  # between two pieces of work


def start(target: Callable[..., None], *args: object) -> None:
    threading.Thread(target=target, args=args, daemon=True).start()


def wait_below(depth: int, wait: Callable[[], object]) -> None:
    """Wait at the end of some calls."""
    if depth:
        wait_below(depth - 1, wait)
    else:
        wait()


def block() -> None:
    """Wait for what never comes."""
    wait_below(DEPTH, queue.Queue().get)


def live(seconds: float) -> None:
    """Wait, and end."""
    wait_below(DEPTH, lambda: time.sleep(seconds))


def compute() -> int:
    """One unit of work, a few microseconds."""
    return sum(range(200))


class Work:
    """What goes on in the process, and how evenly."""

    def __init__(self) -> None:
        self._calm = threading.Event()
        # Of each second: the longest time between two units in ms, and the number of units.
        self._seconds: list[tuple[float, int]] = []

    def work(self) -> None:
        """A little work, fifty times a second."""
        while not self._calm.wait(PAUSE_S):
            for _ in range(20):
                compute()

    def spin(self) -> None:
        """Work without a pause, and note when it was kept from it."""
        last = second = time.perf_counter()
        longest, units = 0.0, 0
        while not self._calm.is_set():
            compute()
            now = time.perf_counter()
            longest = max(longest, now - last)
            last = now
            units += 1
            if now - second >= 1:
                self._seconds.append((round(longest * 1000, 3), int(units / (now - second))))
                second, longest, units = now, 0.0, 0

    def grow(self, every_s: float) -> None:
        """Start a thread now and then that never ends."""
        while not self._calm.wait(every_s):
            start(block)

    def turn_over(self, per_s: float, life_s: float) -> None:
        """Start threads all the time that live that long."""
        while not self._calm.wait(1 / per_s):
            start(live, life_s)

    def measure(self) -> str:
        """Forget what was measured until now."""
        self._seconds.clear()
        return "measuring"

    def measured(self) -> str:
        """What was measured since."""
        return json.dumps(self._seconds)

    def calm(self) -> str:
        """Let nothing happen any more."""
        self._calm.set()
        return "calm"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--new-every", type=float, help="seconds between two new threads")
    parser.add_argument("--starts", type=float, help="threads a second, in place of the blocked")
    parser.add_argument("--spin", action="store_true")
    options = parser.parse_args()
    threading.stack_size(STACK_BYTES)
    work = Work()
    if options.starts:
        life_s = options.threads / options.starts
        for n in range(options.threads):
            start(live, life_s * (n + 1) / options.threads)
        start(work.turn_over, options.starts, life_s)
    else:
        for _ in range(options.threads):
            start(block)
    for _ in range(options.workers):
        start(work.work)
    if options.new_every:
        start(work.grow, options.new_every)
    if options.spin:
        start(work.spin)
    serve(
        {
            "measure": work.measure,
            "measured": work.measured,
            "calm": work.calm,
            "count": lambda: str(threading.active_count()),
        }
    )


if __name__ == "__main__":
    main()
