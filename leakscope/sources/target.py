"""What a target is: when it was started, as what command, with which Python."""

from __future__ import annotations

import contextlib
import os
import time

from leakscope.errors import NoSuchProcess
from leakscope.model import Target
from leakscope.redaction import Redaction, redacted
from leakscope.sources import kernel
from leakscope.sources.python_version import python_version


def target(
    pid: int, elapsed_zero_at: float | None = None, redaction: Redaction = Redaction.SECRETS
) -> Target:
    """What can be told of a process. Raises NoSuchProcess when it is not there.

    `elapsed_zero_at` is the Unix time of the zero of the watch's own clock. The command line is
    masked here already, so that no report and no recording can hold what it must not.
    """
    if not kernel.ON_LINUX:
        return _by_psutil(pid, elapsed_zero_at, redaction)
    state = kernel.process_state(pid)
    if state is None:
        raise NoSuchProcess(f"there is no process {pid}")
    # Now less its age: the kernel counts from the boot, of which it tells the Unix time in whole
    # seconds only.
    booted_at = time.time() - kernel.boot_elapsed_s(0.0)
    started_at = booted_at + state.start_ticks / kernel.ticks_per_s()
    return _target(pid, started_at, redacted(command_of(pid), redaction), elapsed_zero_at)


def command_of(pid: int) -> tuple[str, ...]:
    """The command line, word by word as it is; psutil reads lines, and loses a carriage return."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            said = file.read()
    except OSError:
        return () if kernel.ON_LINUX else _command_by_psutil(pid)
    # A process that wrote a title over its arguments (gunicorn does) leaves one word of blanks.
    words = said[:-1].split(b"\0") if said.endswith(b"\0") else [said]
    if len(words) == 1:
        words = words[0].split(b" ")
    return tuple(map(os.fsdecode, words)) if said else ()


def _command_by_psutil(pid: int) -> tuple[str, ...]:
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        return tuple(psutil.Process(pid).cmdline())
    return ()


def _by_psutil(pid: int, elapsed_zero_at: float | None, redaction: Redaction) -> Target:
    import psutil

    try:
        process = psutil.Process(pid)
        started_at = process.create_time()
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        raise NoSuchProcess(f"there is no process {pid}") from None
    except psutil.AccessDenied:
        return Target(pid)
    command = redacted(command_of(pid), redaction)
    return _target(pid, started_at, command, elapsed_zero_at)


def _target(
    pid: int, started_at: float, command: tuple[str, ...], elapsed_zero_at: float | None
) -> Target:
    began_s = None if elapsed_zero_at is None else started_at - elapsed_zero_at
    return Target(pid, started_at, command, python_version(pid), began_s)
