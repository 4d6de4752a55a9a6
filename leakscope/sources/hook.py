"""A command that is run for each thing found: never in the way of whoever runs it."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from typing import IO, NamedTuple

# A message to a chat or a pager takes seconds where the network is slow; what takes longer hangs.
LIMIT_S = 30.0
# Leaks that are found at once have one reason, and the machine is in trouble already.
_AT_ONCE = 3
# What is kept of its complaint: the last line of it is told.
_MAX_COMPLAINT = 4096
_LOOK_EACH_S = 0.05
# What is read of it at a time, as much as a pipe holds; who writes without end is not read so.
_PIECE = 64 * 1024
_MOST_PIECES = 16
# What was killed is gone in milliseconds, unless it hangs in the kernel: that is not waited for.
_GONE_S = 1.0


class Failure(NamedTuple):
    """What went wrong for one of the things found."""

    name: str
    why: str


class _Running(NamedTuple):
    name: str
    process: subprocess.Popen[bytes]
    began_s: float
    complaint: bytearray


class Hook:
    """Runs a shell command once for each document that it is given, a few at a time.

    Each run is the leader of a session of its own, so that no Ctrl-C reaches it, and what hangs is
    killed with all that it started. The document waits in a file, so that nobody need read it.
    """

    def __init__(self, command: str, limit_s: float = LIMIT_S) -> None:
        self._command = command
        self._limit_s = limit_s
        self._began = False
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._running: list[_Running] = []

    def run(self, name: str, document: bytes) -> None:
        """Run it for this, as soon as there is room; `poll` sees to that."""
        if not self._began:
            self._began = True
            atexit.register(self.close)  # a second Ctrl-C ends us, and is to leave nothing behind
        self._waiting.append((name, document))

    def poll(self) -> Iterator[Failure]:
        """Start what waits, end what takes too long; what has failed since the last time."""
        for run in list(self._running):
            status = run.process.poll()
            _read(run)
            late = time.monotonic() - run.began_s > self._limit_s
            if status is None and not late:
                continue
            self._running.remove(run)
            _close(run)
            if status is None:
                yield Failure(run.name, f"killed after {self._limit_s:g} s, since it had not ended")
            elif status:
                yield Failure(run.name, _said(status, run))
        while self._waiting and len(self._running) < _AT_ONCE:
            name, document = self._waiting.popleft()
            try:
                self._running.append(_started(self._command, name, document))
            except OSError as error:
                yield Failure(name, f"cannot be run: {error.strerror or error}")

    def finish(self) -> Iterator[Failure]:
        """Wait for all, no longer than for one that hangs; what has failed."""
        ends_s = time.monotonic() + self._limit_s
        try:
            yield from self.poll()
            while (self._running or self._waiting) and time.monotonic() < ends_s:
                time.sleep(_LOOK_EACH_S)
                yield from self.poll()
            for name in [run.name for run in self._running] + [name for name, _ in self._waiting]:
                yield Failure(name, "not waited for any longer at the end")
        finally:
            self.close()

    def close(self) -> None:
        """Kill what still runs, and forget what waits."""
        for run in self._running:
            _close(run)
        self._running.clear()
        self._waiting.clear()


def _started(command: str, name: str, document: bytes) -> _Running:
    """Raises OSError."""
    with tempfile.TemporaryFile() as file:
        file.write(document)
        file.seek(0)
        process = subprocess.Popen(
            command,
            shell=True,
            stdin=file,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), False)
    return _Running(name, process, time.monotonic(), bytearray())


def _read(run: _Running) -> None:
    """Take what it complains of, so that it need not wait for us."""
    stream: IO[bytes] | None = run.process.stderr
    assert stream is not None
    for _ in range(_MOST_PIECES):
        piece = stream.read(_PIECE)
        if not piece:  # None where there is nothing now
            return
        run.complaint[:] = (run.complaint + piece)[-_MAX_COMPLAINT:]


def _said(status: int, run: _Running) -> str:
    ended = f"signal {-status}" if status < 0 else f"status {status}"
    lines = run.complaint.decode("utf-8", "replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    return f"it ended with {ended}" + (f": {last.strip()}" if last else "")


def _close(run: _Running) -> None:
    """Kill it, and what is left of its session, unless it has ended by itself."""
    if run.process.returncode is None:  # not reaped yet, so that its number is its own
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(run.process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.process.wait(_GONE_S)
    assert run.process.stderr is not None
    run.process.stderr.close()
