"""A command that is run for each thing found: never in the way of whoever runs it."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
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
# A shell in between: to the command, its parent is not leakscope, and `kill $PPID` does not end the
# watch. What that shell has to say ("Killed") is no word of the command.
_SHELL = ("/bin/sh", "-c", 'exec 3>&2 2>/dev/null; (exec sh -c "$1" 2>&3 3>&-); exit $?', "sh")
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

    A thread sees to that, whatever else goes on. Each run is the leader of a session of its own, so
    that no Ctrl-C reaches it, and what hangs is killed with all that it started. The document waits
    in a file, so that nobody need read it.
    """

    def __init__(self, command: str, limit_s: float = LIMIT_S) -> None:
        self._command = command
        self._limit_s = limit_s
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._running: list[_Running] = []
        self._failed: list[Failure] = []
        self._thread: threading.Thread | None = None
        # Holds what is above; told of each change of it.
        self._changed = threading.Condition()
        self._is_closed = False

    def run(self, name: str, document: bytes) -> None:
        """Run it for this, as soon as there is room."""
        with self._changed:
            self._waiting.append((name, document))
            self._changed.notify_all()
        if self._thread is None:
            atexit.register(self.close)  # a signal may end us, and is to leave nothing behind
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def failures(self) -> list[Failure]:
        """What has failed since the last time."""
        with self._changed:
            failed, self._failed = self._failed, []
        return failed

    def finish(self) -> list[Failure]:
        """Wait for all, no longer than for one that hangs; what has failed."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._running or self._waiting), self._limit_s)
            late = [run.name for run in self._running] + [name for name, _ in self._waiting]
        self.close()
        why = "not waited for any longer at the end"
        return [*self.failures(), *(Failure(name, why) for name in late)]

    def close(self) -> None:
        """Kill what still runs, and forget what waits."""
        with self._changed:
            self._is_closed = True
            for run in self._running:
                _close(run)
            self._running.clear()
            self._waiting.clear()
            self._changed.notify_all()

    def _work(self) -> None:
        with self._changed:
            while not self._is_closed:
                self._end_what_is_due()
                self._start_what_waits()
                self._changed.notify_all()
                self._changed.wait(_LOOK_EACH_S if self._running else None)

    def _end_what_is_due(self) -> None:
        for run in list(self._running):
            status = run.process.poll()
            _read(run)
            late = time.monotonic() - run.began_s > self._limit_s
            if status is None and not late:
                continue
            self._running.remove(run)
            _close(run)
            if status is None:
                why = f"killed after {self._limit_s:g} s, since it had not ended"
                self._failed.append(Failure(run.name, why))
            elif status:
                self._failed.append(Failure(run.name, _said(status, run)))

    def _start_what_waits(self) -> None:
        while self._waiting and len(self._running) < _AT_ONCE:
            name, document = self._waiting.popleft()
            try:
                self._running.append(_started(self._command, name, document))
            except OSError as error:
                self._failed.append(Failure(name, f"cannot be run: {error.strerror or error}"))


def _started(command: str, name: str, document: bytes) -> _Running:
    """Raises OSError."""
    with tempfile.TemporaryFile() as file:
        file.write(document)
        file.seek(0)
        process = subprocess.Popen(
            [*_SHELL, command],
            stdin=file,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            preexec_fn=_mind_signals,
        )
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), False)
    return _Running(name, process, time.monotonic(), bytearray())


def _mind_signals() -> None:  # pragma: no cover - in the child, until its exec
    """Signals that leakscope holds back (it may run a program) are not held back from this."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


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
    # 128 and the number is what a shell, such as that in between, says of a signal.
    number = -status if status < 0 else status - 128
    ended = f"signal {number}" if number > 0 else f"status {status}"
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
