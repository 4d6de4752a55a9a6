"""Signals to leakscope that are meant for the program it runs: taken as they come, passed on."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

from leakscope.sources.signals import is_in_our_group, minded
from leakscope.sources.witness import Witness

# Nobody sends these to one process and means another: they can't be caught, they say that a process
# itself is at fault or at a limit, or that its child or the reader of its pipe has gone.
_NEVER_FOR_ANOTHER = frozenset(
    (
        *(signal.SIGKILL, signal.SIGSTOP),
        *(signal.SIGILL, signal.SIGTRAP, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV),
        *(signal.SIGSYS, signal.SIGXCPU, signal.SIGXFSZ),
        *(signal.SIGCHLD, signal.SIGPIPE),
    )
)
_PASSED_ON = frozenset(signal.valid_signals()) - _NEVER_FOR_ANOTHER
# With these a terminal and a shell stop and continue all of a job.
_STOPPING = frozenset((signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU))
_DROPPING: dict[int, frozenset[signal.Signals]] = {
    signal.SIGCONT: _STOPPING,
    **dict.fromkeys(_STOPPING, frozenset((signal.SIGCONT,))),
}
# What leakscope minds itself, once the program has ended.
_OWN_AT_LAST = _STOPPING | {
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGCONT)
}
# Who ends a group or a service sends the signal to one process after the other, or to one of them
# twice (`timeout`): within that time it is one signal, as the kernel makes one of two that wait.
# Those take well under a millisecond, and a busy machine some; no person sees that much.
_MOMENT_S = 0.05
# Of those below it the kernel keeps one that waits, of these all; macOS has none.
_FIRST_FOR_REAL_TIME = getattr(signal, "SIGRTMIN", signal.NSIG)


class Relay:
    """Holds signals back from now on, in this thread and all that it starts; passes each on.

    They are waited for rather than handled: so none interrupts what is read and written meanwhile.
    """

    def __init__(self) -> None:
        # What is ignored is ignored by the program as well.
        self._held = minded(_PASSED_ON)
        self._mask_before = signal.pthread_sigmask(signal.SIG_BLOCK, {*self._held, signal.SIGCHLD})
        self._thread: threading.Thread | None = None
        self._is_over = False
        self._stops_with_program = True

    def begin(self, program: int, send: Callable[[int], None]) -> None:
        """Pass on what comes, and what has come since this was made; `send` is not to raise."""
        # Not earlier: what the witness has seen is taken to have reached the program.
        arguments = (program, send, Witness())
        self._thread = threading.Thread(target=self._work, args=arguments, daemon=True)
        self._thread.start()

    def go_on(self) -> None:
        """Though the program be stopped: it is leakscope that stops it, to kill it."""
        self._stops_with_program = False

    def stop(self) -> None:
        """The program has ended: what would end or stop a process is leakscope's own from now on.

        What came before was for the program; what has nothing to do with ending still is.
        """
        self._is_over = True
        if self._thread is not None:
            assert self._thread.ident is not None
            with contextlib.suppress(ProcessLookupError):
                # To this thread, since others may not hold it back.
                signal.pthread_kill(self._thread.ident, signal.SIGCHLD)
            self._thread.join()
        self._thread = None
        self._hold_back(self._mask_before | (self._held - _OWN_AT_LAST))

    def close(self) -> None:
        """Hold nothing back any more; what came and was not for leakscope is no more."""
        self.stop()
        self._hold_back(self._mask_before)

    def _hold_back(self, mask: set[int]) -> None:
        """These alone, from now on, and drop what has come."""
        for number in self._held:
            # To ignore a signal drops what is held of it (sigaction(3p)).
            signal.signal(number, signal.signal(number, signal.SIG_IGN))
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _work(self, program: int, send: Callable[[int], None], witness: Witness) -> None:
        while not self._is_over:
            number = signal.sigwait({*self._held, signal.SIGCHLD})
            if number == signal.SIGCHLD:
                self._stop_with(program)
                continue
            time.sleep(_MOMENT_S)
            came = self._with_what_came_after(number)
            # The next one is there before this one goes, so that there is always one.
            witness, latest = Witness(), witness
            reached = latest.seen() if is_in_our_group(program) else set()
            latest.close()
            for each in _meant_for_program(came, reached) if not self._is_over else ():
                send(each)
        witness.close()

    def _with_what_came_after(self, number: int) -> list[int]:
        """Each signal that waits, once; those for real time as often as they came.

        The kernel keeps no order of those that wait: the lowest comes first.
        """
        came = [number]
        while waiting := signal.sigpending() & self._held:
            number = signal.sigwait(waiting)
            if number not in came or number >= _FIRST_FOR_REAL_TIME:
                came.append(number)
        return came

    def _stop_with(self, program: int) -> None:
        """Stop if the program has: the shell is to see that, and its `fg` continues both."""
        if not self._stops_with_program or not hasattr(os, "waitid"):  # macOS, before 3.13
            return
        stopped = None
        with contextlib.suppress(ChildProcessError):  # it has ended
            stopped = os.waitid(os.P_PID, program, os.WSTOPPED | os.WNOHANG)
        if stopped is None:
            return
        if stopped.si_status == signal.SIGSTOP:
            # Somebody may have done that for a while, where no shell would tell of it.
            if _is_in_foreground():
                os.kill(os.getpid(), signal.SIGSTOP)
        elif stopped.si_status in _STOPPING & self._held:
            # As it does by default, which is not at all where nobody could continue it.
            # Sent before it is let in: one that waits already is then dropped with it by `fg`,
            # where else each would stop us.
            number = stopped.si_status
            signal.pthread_kill(threading.get_ident(), number)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
            signal.pthread_sigmask(signal.SIG_BLOCK, {number})


def _meant_for_program(came: list[int], reached: set[int]) -> Iterator[int]:
    """What came to leakscope and has not reached the program as well, in the order of `came`.

    What stops a process and what continues it drop each other where they wait: of a group that was
    sent both, one after the other, only the latter is to be seen, and the former is over.
    """
    for n, number in enumerate(came):
        latter = {*came[n + 1 :], *reached.difference(came)}
        if number not in reached and not latter & _DROPPING.get(number, frozenset()):
            yield number


def _is_in_foreground() -> bool:
    """Whether a shell waits for leakscope at a terminal."""
    try:
        with open("/dev/tty", "rb", buffering=0) as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
