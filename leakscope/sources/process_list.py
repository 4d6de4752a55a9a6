"""Facts of processes: what a target is, and which Python processes there are to look at."""

from __future__ import annotations

import contextlib
import os
import re
import time

import psutil

from leakscope.errors import NoSuchProcess
from leakscope.model import Target
from leakscope.processes import ProcessFacts
from leakscope.sources.python_version import python_version

_PYTHON = re.compile(r"^(?:lib)?python\d?(?:\.\d+)?", re.IGNORECASE)


def target(pid: int, elapsed_zero_at: float | None = None) -> Target:
    """What can be told of a process. Raises NoSuchProcess when it is not there.

    `elapsed_zero_at` is the Unix time of the zero of the watch's own clock.
    """
    try:
        process = psutil.Process(pid)
        started_at = process.create_time()
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        raise NoSuchProcess(f"there is no process {pid}") from None
    except psutil.AccessDenied:
        return Target(pid)
    command: tuple[str, ...] = ()
    with contextlib.suppress(psutil.Error, OSError):
        command = tuple(process.cmdline())
    began_s = None if elapsed_zero_at is None else started_at - elapsed_zero_at
    return Target(pid, started_at, command, python_version(pid), began_s)


def python_processes() -> list[ProcessFacts]:
    """The Python processes that this user can look at, but this one; most threads first."""
    found: list[ProcessFacts] = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(psutil.Error, OSError):
            facts = _facts(process)
            if facts:
                found.append(facts)
    return sorted(found, key=lambda facts: (-(facts.threads or 0), facts.pid))


def is_python(pid: int, executable: str) -> bool:
    """Whether a process that runs this file is Python, whatever the file is called."""
    named = _PYTHON.match(os.path.basename(executable))
    return named is not None or python_version(pid) is not None


def _facts(process: psutil.Process) -> ProcessFacts | None:
    if process.status() == psutil.STATUS_ZOMBIE:
        return None
    if hasattr(os, "geteuid") and os.geteuid() not in (0, process.uids().effective):
        return None
    # Without rights the executable cannot be read, and then its stacks can't either.
    executable = process.exe()
    if not is_python(process.pid, executable):
        return None
    return ProcessFacts(
        process.pid,
        python_version(process.pid),
        process.num_threads(),
        max(time.time() - process.create_time(), 0.0),
        tuple(process.cmdline()),
        process.username(),
    )
