"""How a watch is told to end: signals and the end of the target, waited for without polling."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn


class Stop:
    """Waits, and ends the wait early when a signal comes or a process ends."""

    def __init__(self, pid: int | None = None) -> None:
        self.signalled = False
        self.target_ended = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._process: int | None = None
        if pid is not None and hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._process = os.pidfd_open(pid)

    def close(self) -> None:
        """Give back the descriptors."""
        for handle in (self._reader, self._writer, self._process):
            if handle is not None:
                os.close(handle)

    def set(self) -> None:
        """End every wait from now on; safe in a signal handler."""
        self.signalled = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"x")

    def wait(self, seconds: float) -> bool:
        """Wait that long, or until there is a reason to end; whether there is one."""
        # Not select, which knows no descriptor above 1023, and there may be one a thread.
        poll = select.poll()
        for handle in (self._reader, self._process):
            if handle is not None:
                poll.register(handle, select.POLLIN)
        ready = [handle for handle, _ in poll.poll(max(seconds, 0) * 1000)]
        if self._process in ready:
            self.target_ended = True
        return bool(ready) or self.signalled


@contextlib.contextmanager
def stopped_by_signals(stop: Stop) -> Iterator[None]:
    """SIGINT and SIGTERM end the watch normally; a second SIGINT the program, with status 130."""

    def handler(number: int, _frame: FrameType | None) -> None:
        if stop.signalled and number == signal.SIGINT:
            _die()
        stop.set()

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _die() -> NoReturn:
    raise SystemExit(130)


class Clock:
    """Time for a watch: monotonic seconds since it began."""

    def __init__(self) -> None:
        self._zero = time.monotonic()
        self.zero_at = time.time()

    def elapsed_s(self) -> float:
        """Seconds since the watch began."""
        return time.monotonic() - self._zero
