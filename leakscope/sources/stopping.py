"""How a watch is told to end: signals and the end of the target, waited for without polling."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from types import FrameType
from typing import NoReturn

from leakscope.sources.signals import minded


class Stop:
    """Waits, and ends the wait early when a signal comes or all of these processes have ended."""

    def __init__(self, *pids: int) -> None:
        self.signalled = False
        self.target_ended = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._processes: set[int] = set()  # a descriptor of each that goes on
        for pid in pids if hasattr(os, "pidfd_open") else ():
            with contextlib.suppress(OSError):
                self._processes.add(os.pidfd_open(pid))

    def close(self) -> None:
        """Give back the descriptors."""
        for handle in (self._reader, self._writer, *self._processes):
            os.close(handle)

    def set(self) -> None:
        """End every wait from now on; safe in a signal handler."""
        self.signalled = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"x")

    def wait(self, seconds: float) -> bool:
        """Wait that long, or until there is a reason to end; whether there is one."""
        ends_s = time.monotonic() + max(seconds, 0)
        while not self.target_ended:
            # Not select, which knows no descriptor above 1023, and there may be one a thread.
            poll = select.poll()
            for handle in (self._reader, *self._processes):
                poll.register(handle, select.POLLIN)
            ready = {handle for handle, _ in poll.poll(max(ends_s - time.monotonic(), 0) * 1000)}
            self._note_ended(self._processes.intersection(ready))
            if not ready or self._reader in ready:
                break
        return self.target_ended or self.signalled

    def _note_ended(self, ended: Collection[int]) -> None:
        self._processes.difference_update(ended)
        for handle in ended:
            os.close(handle)
        self.target_ended = self.target_ended or bool(ended and not self._processes)


@contextlib.contextmanager
def stopped_by_signals(stop: Stop) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP end the watch; a second SIGINT the program, with status 130.

    A hangup that was to be ignored stays so: nohup asks for that. An interrupt does not. A script
    has what it starts by `&` ignore those that are typed, lest they end it without its results;
    this one ends with them, and `kill -INT` means it.
    """

    def handler(number: int, _frame: FrameType | None) -> None:
        if stop.signalled and number == signal.SIGINT:
            _die()
        stop.set()

    with _handled({signal.SIGINT, signal.SIGTERM, *minded([signal.SIGHUP])}, handler):
        yield


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """A signal ends the program, by way of its exit, with the status that a shell gives for it.

    One that was to be ignored stays so: here it would end what is not done yet.
    """

    def handler(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    with _handled(minded([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]), handler):
        yield


@contextlib.contextmanager
def _handled(
    numbers: Iterable[int], handler: Callable[[int, FrameType | None], None]
) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
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
