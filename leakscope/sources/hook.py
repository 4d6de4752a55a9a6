"""A command that is run for each thing found: never in the way of whoever runs it."""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, NamedTuple

from leakscope.sources.signals import as_started

# A message to a chat or a pager takes seconds where the network is slow; what takes longer hangs.
LIMIT_S = 30.0
# Leaks that are found at once have one reason, and the machine is in trouble already.
_AT_ONCE = 3
# What is kept of its complaint: the last line of it is told.
_MAX_COMPLAINT = 4096
_LOOK_EACH_S = 0.05
_PIECE = 64 * 1024  # as much as a pipe holds
_LAST_PIECES = 2  # of which the second may be short
# A shell in between: to the command, its parent is not leakscope, and `kill $PPID` does not end the
# watch. What that shell has to say ("Killed") is no word of the command.
_SHELL = ("/bin/sh", "-c", 'exec 3>&2 2>/dev/null; (exec sh -c "$1" 2>&3 3>&-); exit $?', "sh")
# What was killed is gone in milliseconds, unless it hangs in the kernel: that is not waited for.
_GONE_S = 1.0


class Failure(NamedTuple):
    """What went wrong for one of the things found."""

    name: str
    why: str


@dataclass(slots=True)
class _Running:
    name: str
    process: subprocess.Popen[bytes]
    complaints: IO[bytes]
    began_s: float
    latest: bytes = b""  # of its complaints
    is_silent: bool = False  # it has closed what it complains through


class Hook:
    """Runs a shell command once for each document that it is given, a few at a time.

    A thread sees to that, whatever else goes on. Each run is the leader of a session of its own, so
    that no Ctrl-C reaches it, and what hangs is killed with its process group. The document waits
    in a file, so that nobody need read it.
    """

    def __init__(self, command: str, limit_s: float = LIMIT_S) -> None:
        self._command = command
        self._limit_s = limit_s
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._running: list[_Running] = []  # changed by the thread alone
        self._failed: list[Failure] = []
        self._thread: threading.Thread | None = None
        # Holds what is above, for no longer than a change of it takes, and is told of each: who
        # watches does not wait for a fork, or for what is killed.
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
            self._is_closed = True
        self.close()
        why = "not waited for any longer at the end"
        return [*self.failures(), *(Failure(name, why) for name in late)]

    def close(self) -> None:
        """Kill what still runs, and forget what waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while not self._is_closed:
            self._start_what_waits()
            if self._running:
                _listen_to(self._running)
                self._end_what_is_due()
                continue
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
        for run in self._running:
            _close(run)

    def _start_what_waits(self) -> None:
        while self._waiting and len(self._running) < _AT_ONCE and not self._is_closed:
            name, document = self._waiting[0]
            failed, started = [], []
            try:
                started = [_started(self._command, name, document)]
            except (OSError, subprocess.SubprocessError) as error:
                why = getattr(error, "strerror", None) or error
                failed = [Failure(name, f"cannot be run: {why}")]
            with self._changed:
                self._waiting.popleft()
                self._running += started
                self._note(failed)

    def _end_what_is_due(self) -> None:
        for run in list(self._running):
            status = run.process.poll()
            is_late = time.monotonic() - run.began_s > self._limit_s
            if status is None and not is_late:
                continue
            _close(run)
            failed = []
            if status is None:
                why = f"killed after {self._limit_s:g} s, since it had not ended"
                failed = [Failure(run.name, why)]
            elif status:
                failed = [Failure(run.name, _said(status, run))]
            with self._changed:
                self._running.remove(run)
                self._note(failed)

    def _note(self, failed: list[Failure]) -> None:
        if not self._is_closed:  # else that has been told of, or is not asked for
            self._failed += failed
        self._changed.notify_all()


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
            preexec_fn=as_started,
        )
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), False)
    return _Running(name, process, process.stderr, time.monotonic())


def _listen_to(running: Sequence[_Running]) -> None:
    """Take what they complain of as it comes, so that none need wait for us; for a moment."""
    poll = select.poll()
    for run in running:
        if not run.is_silent:
            poll.register(run.complaints, select.POLLIN)
    ready = {handle for handle, _ in poll.poll(_LOOK_EACH_S * 1000)}
    for run in running:
        if run.complaints.fileno() in ready:
            _read(run)


def _read(run: _Running) -> bool:
    """Read a pipe's worth; whether there was something."""
    piece = run.complaints.read(_PIECE)  # None where there is nothing now
    run.is_silent = piece == b""
    run.latest = (run.latest + (piece or b""))[-_MAX_COMPLAINT:]
    return bool(piece)


def _said(status: int, run: _Running) -> str:
    # 128 and the number is what a shell, such as that in between, says of a signal.
    number = -status if status < 0 else status - 128
    ended = f"signal {number}" if number > 0 else f"status {status}"
    lines = run.latest.decode("utf-8", "replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    return f"it ended with {ended}" + (f": {last.strip()}" if last else "")


def _close(run: _Running) -> None:
    """Kill it, with its process group, unless it has ended by itself; hear its last words."""
    if run.process.returncode is None:  # not reaped yet, so that its number is its own
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(run.process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.process.wait(_GONE_S)
    else:
        # What it left in the background may go on without end.
        for _ in range(_LAST_PIECES):
            if not _read(run):
                break
    run.complaints.close()
