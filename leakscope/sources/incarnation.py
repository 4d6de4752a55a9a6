"""Which program a PID stands for: it changes when the PID is given away, and with every exec.

An exec keeps the PID and the start time, so that these two alone would mix two programs in one
report.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from leakscope.report import EndedBy


class Incarnation(NamedTuple):
    """One program in one process."""

    start_ticks: int  # since boot
    executable: tuple[int, int] | None  # device and inode; None when its memory has gone
    # Where its code and its stack begin: the kernel puts both elsewhere with each exec, so that
    # the same interpreter with another script shows too. 0 where this user may not know.
    code: int
    stack: int


def incarnation(pid: int) -> Incarnation | None:
    """What a PID stands for now; None where that cannot be read, and of one that has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()  # the name before it may hold anything
    if fields[0] in b"ZX":
        return None
    return Incarnation(int(fields[19]), _executable(pid), int(fields[23]), int(fields[25]))


def ending(before: Incarnation | None, now: Incarnation | None) -> EndedBy | None:
    """What has become of a target since; None when it is still the same."""
    if before is None:
        return None
    if now is None or now.start_ticks != before.start_ticks:
        return EndedBy.TARGET_EXITED
    if before.executable and not now.executable:
        return EndedBy.TARGET_EXITED  # it is about to end
    return EndedBy.TARGET_REPLACED if now != before else None


def _executable(pid: int) -> tuple[int, int] | None:
    try:
        found = os.stat(f"/proc/{pid}/exe")
    except FileNotFoundError:
        return None
    except OSError:
        return 0, 0  # not for this user to know
    return found.st_dev, found.st_ino
