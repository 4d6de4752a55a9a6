"""Which Python processes there are to look at."""

from __future__ import annotations

import contextlib
import os
import re
import time

import psutil

from leakscope.processes import ProcessFacts
from leakscope.redaction import Redaction, redacted
from leakscope.sources.python_version import python_version
from leakscope.sources.target import command_of

_PYTHON = re.compile(r"^(?:lib)?python\d?(?:\.\d+)?", re.IGNORECASE)


def python_processes(redaction: Redaction = Redaction.SECRETS) -> list[ProcessFacts]:
    """The Python processes that this user can look at, but this one; most threads first."""
    found: list[ProcessFacts] = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(psutil.Error, OSError):
            facts = _facts(process, redaction)
            if facts:
                found.append(facts)
    return sorted(found, key=lambda facts: (-(facts.threads or 0), facts.pid))


def is_python(pid: int, executable: str) -> bool:
    """Whether a process that runs this file is Python, whatever the file is called."""
    named = _PYTHON.match(os.path.basename(executable))
    return named is not None or python_version(pid) is not None


def _facts(process: psutil.Process, redaction: Redaction) -> ProcessFacts | None:
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
        redacted(command_of(process.pid), redaction),
        process.username(),
    )
