"""What a target is: when it was started, as what command, with which Python."""

from __future__ import annotations

import contextlib
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
    return _target(pid, started_at, redacted(_command(pid), redaction), elapsed_zero_at)


def _command(pid: int) -> tuple[str, ...]:
    """The command line; one that the process wrote over (setproctitle) ends without a NUL."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        text = file.read().decode("utf-8", "surrogateescape")
        end = "\0" if text.endswith("\0") else " "
        return tuple(text.removesuffix(end).split(end)) if text else ()
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
    command: tuple[str, ...] = ()
    with contextlib.suppress(psutil.Error, OSError):
        command = redacted(process.cmdline(), redaction)
    return _target(pid, started_at, command, elapsed_zero_at)


def _target(
    pid: int, started_at: float, command: tuple[str, ...], elapsed_zero_at: float | None
) -> Target:
    began_s = None if elapsed_zero_at is None else started_at - elapsed_zero_at
    return Target(pid, started_at, command, python_version(pid), began_s)
