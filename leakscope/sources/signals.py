"""Signals as leakscope was started with them: what it minds, and what it starts is to have."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable

# Of these two Python itself changes nothing, so they are now as leakscope was started with them.
_MASK = signal.pthread_sigmask(signal.SIG_BLOCK, ())
_ON_CHILD = signal.getsignal(signal.SIGCHLD)


def minded(numbers: Iterable[int]) -> set[int]:
    """Those that are not ignored; what is ignored stays so.

    nohup asks for that, and a shell without job control for what it starts in the background.
    """
    return {number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}


def mind_children() -> None:
    """Have the kernel keep how a child ended, whatever leakscope was started to ignore.

    Else all of them seem to end with status 0. Only the main thread can do that.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def as_started() -> None:  # pragma: no cover - in the child, until its exec
    """In a child before its exec: it minds signals as if there were no leakscope in between.

    But for SIGPIPE and SIGXFSZ: Python ignores these, and does not say what was before.
    """
    for number in signal.valid_signals():
        # What comes now would else be noted by a Python that is about to be replaced.
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    if _ON_CHILD is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, _MASK)


def is_in_our_group(pid: int) -> bool:
    """Whether it gets what is sent to the whole of leakscope's process group, as keys are."""
    try:
        return os.getpgid(pid) == os.getpgrp()
    except ProcessLookupError:
        return False
