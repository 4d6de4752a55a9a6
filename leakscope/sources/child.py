"""A program that is run for its answer, which may be late or endless: neither is waited for."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

# py-spy says 300 bytes a frame: an answer of 1000 threads, each 900 calls deep.
MAX_ANSWER = 256 * 1024 * 1024
_MAX_COMPLAINT = 1024 * 1024
_PIECE = 1024 * 1024  # what one read takes of a pipe, which holds 64 KiB unless it is told to
# A program that has closed what it speaks through is at its very end: that takes milliseconds.
_END_S = 1.0


class TooMuch(ValueError):
    """The program said more than anyone could mean."""


class Child:
    """A program under way. What it says is read whenever one asks whether it is over."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], *, dies_with_us: bool = False
    ) -> None:
        """Raises OSError when it cannot be started."""
        self.began_s = time.monotonic()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            bufsize=0,
            # Ctrl-C goes to the whole foreground group; a dump in flight is to be finished.
            process_group=0,
            preexec_fn=_die_with_parent() if dies_with_us else None,
        )
        self._said: dict[IO[bytes], bytearray] = {}
        self._selector = selectors.DefaultSelector()
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            self._said[stream] = bytearray()
            self._selector.register(stream, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def is_over(self, wait_s: float) -> bool:
        """Whether it has said all, or does within this time. Raises TooMuch."""
        ends_s = time.monotonic() + wait_s
        while self._selector.get_map():
            ready = self._selector.select(max(ends_s - time.monotonic(), 0.0))
            for key, _ in ready:
                self._read(key.fileobj)  # type: ignore[arg-type]  # what was registered
            if not ready and time.monotonic() >= ends_s:
                return False
        return True

    def _read(self, stream: IO[bytes]) -> None:
        piece = os.read(stream.fileno(), _PIECE)
        if not piece:
            self._selector.unregister(stream)
        said = self._said[stream]
        said += piece
        most = MAX_ANSWER if stream is self._process.stdout else _MAX_COMPLAINT
        if len(said) > most:
            raise TooMuch(f"more than {most >> 20} MiB")

    def end(self) -> float:
        """Wait for its end; the CPU time that it took.

        It is killed if it has more to say, or has said all and goes on.
        """
        if self._selector.get_map():
            self._process.kill()
        cpu_s = self._reaped()
        self._process.wait()
        self._selector.close()
        for stream in self._said:
            stream.close()
        return cpu_s

    def _reaped(self) -> float:
        """Wait, but not for ever; the CPU time of this child alone.

        The sums of all children would do for one at a time; two processes of a tree are looked at
        at once, and each would count the other's dump as well.
        """
        pid, ends_s = self._process.pid, time.monotonic() + _END_S
        with contextlib.suppress(ChildProcessError):  # it had ended, and `kill` has found that
            while True:
                patient = time.monotonic() < ends_s
                if not patient:
                    self._process.kill()
                ended, status, used = os.wait4(pid, os.WNOHANG if patient else 0)
                if ended:
                    self._process.returncode = os.waitstatus_to_exitcode(status)
                    return used.ru_utime + used.ru_stime
                time.sleep(0.0005)
        return 0.0

    def answer(self) -> tuple[int, bytes, bytes]:
        """Its status, what it wrote to standard output, and what to standard error."""
        out, err = self._said.values()
        return self._process.returncode, bytes(out), bytes(err)


def _die_with_parent() -> Callable[[], None] | None:
    """What a child does, before it becomes py-spy, to be killed when leakscope is; Linux only.

    Else a blocking py-spy that hangs (a thread in an uninterruptible sleep does that) would hold
    the target for ever: nobody would be left to end it. The kernel lets go of a target when its
    tracer dies.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    # Found before the fork: between it and the exec there is to be no import and no look-up.
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:  # pragma: no cover - in the child, until its exec
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before it was asked
            os._exit(1)

    return ask


_PR_SET_PDEATHSIG = 1
