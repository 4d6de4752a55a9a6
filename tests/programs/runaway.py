"""Threads that never stop computing, each time somewhere else.

Commands: spin N (three at most), calm, count, tids, quit.
"""

from __future__ import annotations

import json
import threading
import zlib

from command_loop import serve

MOST_SPINNERS = 3  # more only slow the machine down: they take turns anyway

PAGE = b"all work and no play " * 200


def count_words(page: bytes) -> int:
    """Compute something."""
    return sum(1 for word in page.split() if word)


def sum_letters(page: bytes) -> int:
    """Compute something else."""
    return sum(page)


def compress(page: bytes) -> int:
    """Compute something in C."""
    return len(zlib.compress(page))


def spin(stop: threading.Event) -> None:
    """Run away: call one function after the other, for ever."""
    while not stop.is_set():
        count_words(PAGE)
        sum_letters(PAGE)
        compress(PAGE)


class Spinners:
    """The runaway threads."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def spin(self, number: str = "1") -> str:
        """Start that many more, as far as the limit allows."""
        for _ in range(min(int(number), MOST_SPINNERS - len(self._threads))):
            thread = threading.Thread(
                target=spin, args=(self._stop,), name=f"spinner-{len(self._threads)}", daemon=True
            )
            thread.start()
            self._threads.append(thread)
        return self.count()

    def calm(self) -> str:
        """End them all."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._stop = threading.Event()
        return self.count()

    def count(self) -> str:
        """Say how many there are."""
        return f"spinning {len(self._threads)}"

    def tids(self) -> str:
        """Name the threads as the kernel does."""
        return json.dumps([thread.native_id for thread in self._threads])


if __name__ == "__main__":
    spinners = Spinners()
    serve(
        {
            "spin": spinners.spin,
            "calm": spinners.calm,
            "count": spinners.count,
            "tids": spinners.tids,
        }
    )
