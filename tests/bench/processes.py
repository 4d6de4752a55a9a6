"""Processes that the bench starts: what they use, with their children, and that they end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
# A watch that is ended waits for its dump, and that of 4000 threads takes seconds.
_PATIENCE_S = 20.0

# Compiled files are part of any installation; without them each start would compile anew.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}


def descendants(pid: int) -> list[int]:
    """The children that live now, and theirs."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def cpu_s(pid: int) -> float:
    """CPU time that a process has used with all its children, ended ones and living."""
    ticks = 0
    for one in (pid, *descendants(pid)):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks * _TICK_S


def peak_bytes(pid: int) -> int:
    """The most memory that a process has taken, without its children."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    status: int
    took_s: float
    peak_bytes: int  # of the largest of its processes


def run(*command: str) -> Done:
    """Run a command to its end; what it says is thrown away."""
    began_s = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        end(process)
    took_s = time.perf_counter() - began_s
    return Done(process.returncode, took_s, used.ru_maxrss * 1024)


class Working:
    """A command that goes on until it is ended."""

    def __init__(self, process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
        self.pid = process.pid
        self._process = process
        self._said = said

    def finish(self) -> str:
        """End it, and return all that it said."""
        end(self._process)
        self._said.seek(0)
        return self._said.read().decode(errors="replace")


@contextlib.contextmanager
def working(command: Sequence[str]) -> Iterator[Working]:
    """A command that is ended at the end of the block at the latest."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the bench, which then ends it in good order
        )
        try:
            yield Working(process, said)
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, wait, and leave neither it nor a child of it behind."""
    if process.returncode is not None or process.poll() is not None:
        return
    left = descendants(process.pid)
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        left += descendants(process.pid)
        process.kill()
        process.wait()
    for pid in left:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
