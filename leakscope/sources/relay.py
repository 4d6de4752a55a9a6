"""Signals to leakscope that are meant for the program it runs: taken as they come, passed on."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable

# What ends a process that does not mind it, and is sent to end one.
_ENDING = frozenset((signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM))
# What somebody sends to the one process that they know of, and means for the program.
_PASSED_ON = _ENDING | {signal.SIGUSR1, signal.SIGUSR2}
# Of these, what a terminal sends to all in its foreground when a key is pressed.
_TYPED = frozenset((signal.SIGINT, signal.SIGQUIT))


class Relay:
    """Holds signals back from now on, in this thread and all that it starts; passes each on.

    They are waited for rather than handled, because that alone tells who sent them: what was typed
    in a terminal has reached the program as well, and what `kill` sends has not.
    """

    def __init__(self) -> None:
        # What is ignored (nohup does that) is ignored by the program as well.
        self._held = {n for n in _PASSED_ON if signal.getsignal(n) is not signal.SIG_IGN}
        self._mask_before = signal.pthread_sigmask(signal.SIG_BLOCK, self._held)
        self._thread: threading.Thread | None = None
        self._is_over = False

    def let_go(self) -> None:  # pragma: no cover - in the child, until its exec
        """In a child before its exec: it minds signals as if there were no relay."""
        for number in self._held:
            # What is typed now would else be noted by a Python that is about to be replaced.
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask_before)

    def begin(self, send: Callable[[int], None], is_in_our_group: Callable[[], bool]) -> None:
        """Pass on what comes, and what has come since this was made."""
        arguments = (send, is_in_our_group)
        self._thread = threading.Thread(target=self._work, args=arguments, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """The program has ended: what would end a process is leakscope's own from now on.

        What came before was for the program; what is no question of ending still is.
        """
        if self._thread is None:
            return
        self._is_over = True
        assert self._thread.ident is not None
        with contextlib.suppress(ProcessLookupError):
            signal.pthread_kill(self._thread.ident, min(self._held))
        self._thread.join()
        self._thread = None
        self._forget()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING - self._mask_before)

    def close(self) -> None:
        """Hold nothing back any more; what came and was not for leakscope is no more."""
        self.stop()
        self._forget()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask_before)

    def _forget(self) -> None:
        for number in self._held:
            # To ignore a signal drops what is held of it (sigaction(3p)).
            signal.signal(number, signal.signal(number, signal.SIG_IGN))

    def _work(self, send: Callable[[int], None], is_in_our_group: Callable[[], bool]) -> None:
        while True:
            if sys.platform == "linux":
                got = signal.sigwaitinfo(self._held)
                # Who calls kill gives a code of 0 or less; keys are the kernel's word.
                number, is_by_kernel = got.si_signo, got.si_code > 0
            else:
                # Nobody says who sent it; twice is better than never.
                number, is_by_kernel = signal.sigwait(self._held), False
            if self._is_over:
                return
            if not (number in _TYPED and is_by_kernel and is_in_our_group()):
                send(number)
