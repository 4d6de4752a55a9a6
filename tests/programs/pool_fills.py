"""An executor that fills up: it grows, as a leak does, but only to its limit.

Commands: grow, fill, count, quit. All workers are idle when the answer comes.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from command_loop import serve

MOST_WORKERS = 20


class Pool:
    """An executor whose number of workers is set from outside."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(MOST_WORKERS, thread_name_prefix="pool")

    def grow(self) -> str:
        """Make it start one more worker, if it may."""
        wanted = min(self._workers() + 1, MOST_WORKERS)
        # A worker is added only when no other is free: keep that many busy at once.
        all_busy = threading.Barrier(wanted)
        for done in [self._executor.submit(all_busy.wait) for _ in range(wanted)]:
            done.result()
        self._wait_until_idle()
        return self.count()

    def fill(self) -> str:
        """Make it start all the workers it may have."""
        while self._workers() < MOST_WORKERS:
            self.grow()
        return self.count()

    def count(self) -> str:
        """Say how many workers there are."""
        return f"workers {self._workers()}"

    def _workers(self) -> int:
        return len(vars(self._executor)["_threads"])

    def _wait_until_idle(self) -> None:
        # A result is there before its worker is free again; grown too early, it would get two.
        idle = vars(self._executor)["_idle_semaphore"]
        while vars(idle)["_value"] < self._workers():
            time.sleep(0.001)


if __name__ == "__main__":
    pool = Pool()
    serve({"grow": pool.grow, "fill": pool.fill, "count": pool.count})
