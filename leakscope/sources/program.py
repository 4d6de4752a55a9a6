"""A program that leakscope starts and watches: its streams, the signals to it, its end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import psutil

from leakscope.errors import CannotStart, NotExecutable

# What is asked to end gets as long as Docker's `stop` gives a container before it kills.
GRACE_S = 10.0

# What somebody sends to the one process that they know of, and means for the program.
_PASSED_ON = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
# Of these, what a terminal sends to all in its foreground when a key is pressed.
_TYPED = (signal.SIGINT, signal.SIGQUIT)

# What a shell adds to the number of the signal that ended a program.
_BY_SIGNAL = 128


class Program:
    """A program under way, in leakscope's own process group and with its own three streams.

    Whatever else leakscope was handed open goes on to it as well: a socket of systemd's, a pipe of
    make's. It may be traced by leakscope, and by what leakscope starts, where Linux would let
    nobody but its ancestors.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Raises CannotStart or NotExecutable."""
        try:
            self._process = subprocess.Popen(
                command, close_fds=False, preexec_fn=_allowing_to_trace(os.getpid())
            )
        except FileNotFoundError as error:
            raise CannotStart(_why(command, error)) from None
        except OSError as error:
            raise NotExecutable(_why(command, error)) from None
        self.was_ended = False  # by leakscope

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def wait(self) -> int:
        """Wait for its end; its status as a shell has it, 128 and the number for a signal."""
        status = self._process.wait()
        return _BY_SIGNAL - status if status < 0 else status

    def send(self, number: int) -> None:
        """Pass a signal on; to a program that has ended, nothing."""
        self._process.send_signal(number)

    def end(self, grace_s: float = GRACE_S) -> None:
        """Ask it, and all that descends from it, to end; kill what has not after this time."""
        self.was_ended = True
        below = self._descendants()
        self._process.terminate()
        for process in below:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            below = [*below, *self._descendants()]
            self._process.kill()
            grace_s = 0.0
        # Of one that has ended the PID may be another's by now, which psutil minds.
        _, left = psutil.wait_procs(below, grace_s)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _descendants(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.Error:
            return []


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
    program: Program | None = None
    early: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if number in _TYPED and _is_in_foreground():
            return  # it was typed, and the program got it too
        if program is None:
            early.append(number)
        else:
            program.send(number)

    # What is ignored (nohup does that) is ignored by the program as well.
    minded = [number for number in _PASSED_ON if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, pass_on) for number in minded}
    try:
        program = Program(command)
        for number in early:
            program.send(number)
        try:
            yield program
        finally:
            program.wait()
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _is_in_foreground() -> bool:
    """Whether keys that are pressed in a terminal now reach this process group."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False  # there is none
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
