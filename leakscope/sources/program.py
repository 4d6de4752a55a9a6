"""A program that leakscope starts and watches: its streams, the signals to it, its end."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import psutil

from leakscope.errors import CannotStart, NotExecutable
from leakscope.sources.relay import Relay
from leakscope.sources.signals import as_started, is_in_our_group, minded

# How long a program may take to end, each time that it is asked. First as by Ctrl-C, on which a
# Python cleans up and pytest writes its summary: it has as long as `docker stop` gives before it
# kills. Then as by `kill`, for what takes Ctrl-C for no reason to end, or waits for the threads
# that leak; that it was told before, and half the time will do.
_GRACES_S = (10.0, 5.0)

# What a shell adds to the number of the signal that ended a program.
_BY_SIGNAL = 128


class Program:
    """A program under way, in leakscope's own process group and with its own three streams.

    Whatever else leakscope was handed open goes on to it as well: a socket of systemd's, a pipe of
    make's. It may be traced by leakscope, and by what leakscope starts, where Linux would let
    nobody but its ancestors.
    """

    def __init__(self, command: Sequence[str], relay: Relay) -> None:
        """Raises CannotStart or NotExecutable."""
        self._relay = relay
        try:
            self._process = _popen(command, _preparing())
        except FileNotFoundError as error:
            raise CannotStart(_why(command, error)) from None
        except OSError as error:
            raise NotExecutable(_why(command, error)) from None
        self.was_ended = False  # by leakscope
        relay.begin(self.pid, self._send)

    def _send(self, number: int) -> None:
        with contextlib.suppress(PermissionError):  # it may be another user's by now (sudo)
            self._process.send_signal(number)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def wait(self) -> int:
        """Wait for its end, until which signals are its own.

        Its status is given as a shell has it, 128 and the number for a signal.
        """
        status = self._process.wait()
        self._relay.stop()
        return _BY_SIGNAL - status if status < 0 else status

    def end(self, graces_s: Sequence[float] = _GRACES_S) -> None:
        """Ask it, and all that descends from it, to end; kill what then has not."""
        self.was_ended = True
        left: list[psutil.Process] = []  # of its descendants; some may descend from it no more
        for number, grace_s in zip(_ways_to_ask(), graces_s, strict=False):
            left = [*left, *(new for new in self._descendants() if new not in left)]
            self._ask(number, left)
            left = self._left_after(grace_s, left)
            if self._process.poll() is not None and not left:
                return
        self._kill(left)

    def _ask(self, number: signal.Signals, descendants: Sequence[psutil.Process]) -> None:
        is_typed = number is signal.SIGINT  # as a terminal would, to all of the group
        if not is_typed or is_in_our_group(self.pid):
            self._send(number)
        for process in descendants:
            # Of one that has ended the PID may be another's by now, which psutil minds.
            with contextlib.suppress(psutil.Error):
                if not is_typed or is_in_our_group(process.pid):
                    process.send_signal(number)

    def _left_after(
        self, grace_s: float, descendants: Sequence[psutil.Process]
    ) -> list[psutil.Process]:
        """Which of its descendants have not ended when it has, and this time is over."""
        ends_s = time.monotonic() + grace_s
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        _, left = psutil.wait_procs(descendants, max(ends_s - time.monotonic(), 0.0))
        return list(left)

    def _kill(self, descendants: Sequence[psutil.Process]) -> None:
        """Kill these, itself, and what they start meanwhile: what is stopped first starts none."""
        self._relay.go_on()
        self._send(signal.SIGSTOP)
        stopped: list[psutil.Process] = []
        while new := [p for p in (*descendants, *self._descendants()) if p not in stopped]:
            for process in new:
                with contextlib.suppress(psutil.Error):
                    process.suspend()
            stopped += new
        self._send(signal.SIGKILL)
        for process in stopped:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _descendants(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.Error:
            return []


def _ways_to_ask() -> list[signal.Signals]:
    """The signals by which a program is asked to end, one after the other.

    Where SIGINT is ignored, as in the background of a script, the program was started to ignore it.
    """
    first = [signal.SIGINT] if minded([signal.SIGINT]) else []
    return [*first, signal.SIGTERM]


def _popen(command: Sequence[str], prepare: Callable[[], None]) -> subprocess.Popen[bytes]:
    """Raises OSError."""
    if not command[0]:  # else each folder of PATH is tried as the program
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    try:
        return subprocess.Popen(command, close_fds=False, preexec_fn=prepare)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    # A script that does not say what it is for is one for the shell: so say execvp(3) and shells.
    script = shutil.which(command[0]) or command[0]
    return subprocess.Popen(["/bin/sh", script, *command[1:]], close_fds=False, preexec_fn=prepare)


def _preparing() -> Callable[[], None]:
    allow = _allowing_to_trace(os.getpid())

    def prepare() -> None:  # pragma: no cover - in the child, until its exec
        if allow is not None:
            allow()
        as_started()

    return prepare


def _why(command: Sequence[str], error: OSError) -> str:
    return f"cannot run {command[0]}: {error.strerror or error}"


def _allowing_to_trace(pid: int) -> Callable[[], None] | None:
    """What the program does, before it becomes what it is, to let this process look into it.

    Yama (kernel.yama.ptrace_scope 1) lets a process be traced by its ancestors, and by one that it
    names and what descends from that; py-spy is leakscope's child and no ancestor. The kernel keeps
    the word over the exec. Where there is no Yama it is refused (EINVAL), and not needed.
    """
    if sys.platform != "linux":
        return None
    import ctypes

    # Found before the fork: between it and the exec there is to be no import and no look-up.
    prctl, tracer, none = ctypes.CDLL(None).prctl, ctypes.c_ulong(pid), ctypes.c_ulong(0)

    def allow() -> None:  # pragma: no cover - in the child, until its exec
        prctl(_PR_SET_PTRACER, tracer, none, none, none)

    return allow


_PR_SET_PTRACER = 0x59616D61  # "Yama" in ASCII


@contextlib.contextmanager
def started(command: Sequence[str]) -> Iterator[Program]:
    """The program, with signals passed on to it until it has ended, which this waits for.

    leakscope itself is not ended by them: it goes on for as long as the program does. Raises
    CannotStart or NotExecutable.
    """
    relay = Relay()
    try:
        program = Program(command, relay)
        try:
            yield program
        finally:
            program.wait()
    finally:
        relay.close()
