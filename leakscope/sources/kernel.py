"""What Linux knows of a process and its threads, from /proc/PID/stat, status and task.

Reading stops nothing and needs no more rights than py-spy does. Everywhere else, and where a file
cannot be read, the answer is None: unknown.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
import time
from pathlib import Path
from typing import NamedTuple

ON_LINUX = sys.platform == "linux"
# The numbers of system calls are an architecture's own; of others leakscope reads wchan only.
_NUMBERS_KNOWN = platform.machine() == "x86_64"

_FUTEX, _WAIT4, _WAITID = 202, 61, 247
_SLEEPS = (35, 230)  # nanosleep, clock_nanosleep
_READS = (0, 45, 47)  # read, recvfrom, recvmsg
_TIMEOUT_IN_MS = {7: 2, 232: 3, 281: 3}  # poll, epoll_wait, epoll_pwait; -1 waits for ever
_SELECTS = (23, 270)  # select, pselect6
_TIMEOUT_BY_POINTER = {23: 4, 270: 4, 271: 2}  # select, pselect6, ppoll; none waits for ever


class KernelThread(NamedTuple):
    """One OS thread. Ticks are clock ticks, `ticks_per_s()` of them a second."""

    tid: int
    start_ticks: int  # since boot
    state: str  # R, S, D, T, t, Z
    cpu_ticks: int
    runs: int | None  # times that it was put on a CPU
    call: Call | None  # None while it runs, and where unknown
    wchan: str | None


class Call(NamedTuple):
    """The system call that a thread is in, on x86-64."""

    number: int
    deadline: bool | None = None
    futex: int | None = None
    child: int | None = None
    descriptor: int | None = None  # of what it reads from


class ProcessState(NamedTuple):
    """What matters of a whole process."""

    state: str  # as of a thread
    start_ticks: int
    tracer_pid: int
    threads: int
    is_kernel_thread: bool


def ticks_per_s() -> int:
    """Clock ticks a second, the unit of start and CPU times; 1 off Linux, where there are none."""
    return os.sysconf("SC_CLK_TCK") if ON_LINUX else 1


def boot_elapsed_s(elapsed_s: float) -> float:
    """What to take from seconds since boot to get seconds on a clock that now reads `elapsed_s`."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - elapsed_s if ON_LINUX else 0.0


def process_state(pid: int) -> ProcessState | None:
    """The state of a process; None when it is not there (or, off Linux, not to be had)."""
    try:
        fields = _after_name(Path(f"/proc/{pid}/stat").read_bytes())
        status = Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return None
    tracer = re.search(rb"^TracerPid:\s+(\d+)", status, re.MULTILINE)
    return ProcessState(
        fields[0].decode(),
        int(fields[19]),
        int(tracer[1]) if tracer else 0,
        int(fields[17]),
        # PF_KTHREAD; a kernel thread has no memory of its own to look into.
        bool(int(fields[6]) & 0x00200000),
    )


def threads(pid: int) -> dict[int, KernelThread] | None:
    """All OS threads of a process by TID; None where they cannot be read."""
    if not ON_LINUX:
        return None
    try:
        folder = os.open(f"/proc/{pid}/task", os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        found = (_thread(folder, name) for name in os.listdir(folder))
        return {thread.tid: thread for thread in found if thread}
    finally:
        os.close(folder)


def births(pid: int) -> dict[int, int] | None:
    """The start time in ticks of every OS thread by TID; None where they cannot be read."""
    try:
        names = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return None
    born: dict[int, int] = {}
    for name in names:
        with contextlib.suppress(OSError):
            fields = _after_name(Path(f"/proc/{pid}/task/{name}/stat").read_bytes())
            born[int(name)] = int(fields[19])
    return born


def inner_tids(pid: int) -> dict[int, int]:
    """TIDs as seen inside the PID namespace of a process, each to the TID outside.

    py-spy reports the inner ones for a process in a container, when run from the host.
    """
    outer: dict[int, int] = {}
    try:
        names = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return outer
    for name in names:
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/task/{name}/status").read_bytes()
            found = re.search(rb"^NSpid:\s+(.*)$", status, re.MULTILINE)
            if found:
                outer[int(found[1].split()[-1])] = int(name)
    return outer


def _thread(folder: int, name: str) -> KernelThread | None:
    """One thread; None when it ended before it was read."""
    try:
        fields = _after_name(_read(folder, f"{name}/stat"))
        return KernelThread(
            int(name),
            int(fields[19]),
            fields[0].decode(),
            int(fields[11]) + int(fields[12]),
            _runs(folder, name),
            _call(folder, name) if _NUMBERS_KNOWN else None,
            _wchan(folder, name),
        )
    except (OSError, IndexError, ValueError):
        return None


def _read(folder: int, path: str) -> bytes:
    handle = os.open(path, os.O_RDONLY, dir_fd=folder)
    try:
        return os.read(handle, 4096)
    finally:
        os.close(handle)


def _after_name(stat: bytes) -> list[bytes]:
    """The fields of a stat file from the state on; the name before it may hold anything."""
    return stat[stat.rindex(b")") + 2 :].split()


def _runs(folder: int, name: str) -> int | None:
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(_read(folder, f"{name}/schedstat").split()[2])
    return None


def _call(folder: int, name: str) -> Call | None:
    with contextlib.suppress(OSError, IndexError, ValueError):
        return parse_call(_read(folder, f"{name}/syscall").split())
    return None


def parse_call(fields: list[bytes]) -> Call | None:
    """The call that /proc/PID/task/TID/syscall tells of: its number, then six arguments in hex.

    Raises ValueError for the word `running`. The arguments are as in the calls' manual pages.
    """
    number = int(fields[0])
    if number < 0:
        return None  # asleep, but in no call: a page fault, say
    arguments = [int(field, 16) for field in fields[1:7]]
    if number == _FUTEX:
        return Call(number, deadline=arguments[3] != 0, futex=arguments[0])
    if number in _TIMEOUT_IN_MS:
        return Call(number, deadline=arguments[_TIMEOUT_IN_MS[number]] & 0xFFFFFFFF != 0xFFFFFFFF)
    if number in _SELECTS and arguments[0] == 0:
        # Until 3.10 `time.sleep` is a select of nothing; then it sleeps like any other sleeper.
        return Call(_SLEEPS[0], deadline=arguments[4] != 0)
    if number in _TIMEOUT_BY_POINTER:
        return Call(number, deadline=arguments[_TIMEOUT_BY_POINTER[number]] != 0)
    if number in _SLEEPS:
        return Call(number, deadline=True)
    if number == _WAIT4:
        child = arguments[0] & 0xFFFFFFFF
        return Call(number, deadline=False, child=child if 0 < child < 0x7FFFFFFF else None)
    if number == _WAITID:
        by_pid = arguments[0] == 1
        return Call(number, deadline=False, child=arguments[1] if by_pid else None)
    # A socket can have a timeout of its own in the kernel (SO_RCVTIMEO), which doesn't show.
    return Call(number, descriptor=arguments[0] if number in _READS else None)


def _wchan(folder: int, name: str) -> str | None:
    with contextlib.suppress(OSError):
        text = _read(folder, f"{name}/wchan").decode("ascii", "replace")
        return text if text not in ("", "0") else None
    return None
