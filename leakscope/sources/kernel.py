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
from collections.abc import Iterable, Mapping
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
    call: Call | None  # None while it runs, and where unknown
    wchan: str | None
    stack_pointer: int | None  # None while it runs


class Counters(NamedTuple):
    """What the scheduler counts of one thread; None where the kernel keeps no count."""

    start_ticks: int
    runs: int | None
    cpu_ns: int | None


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
    image: int  # where its first stack begins: another number after exec; 0 where not permitted


def ticks_per_s() -> int:
    """Clock ticks a second, the unit of start and CPU times; 1 off Linux, where there are none."""
    return os.sysconf("SC_CLK_TCK") if ON_LINUX else 1


def boot_elapsed_s(elapsed_s: float) -> float:
    """What to take from seconds since boot to get seconds on a clock that now reads `elapsed_s`."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - elapsed_s if ON_LINUX else 0.0


def process_state(pid: int) -> ProcessState | None:
    """The state of a process; None when it is not there (or, off Linux, not to be had)."""
    try:
        fields = _after_name(_contents(f"/proc/{pid}/stat"))
        status = _contents(f"/proc/{pid}/status")
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
        int(fields[25]),
    )


def is_stopped(pid: int) -> bool:
    """Whether something holds the main thread, and so most likely all: a tracer, or a signal."""
    try:
        return _after_name(_contents(f"/proc/{pid}/stat"))[0] in (b"t", b"T")
    except OSError:
        return False


class Tasks:
    """The OS threads of a process, for a reader that comes back: what stays open is cheap to read.

    Not for use by several threads at once.
    """

    # Descriptors that are left to everything else in this process.
    _SPARE_DESCRIPTORS = 128

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.changed: list[int] = []  # TIDs of those that are new or have run, by the latest look
        self.gone: list[int] = []  # of those that ended, and maybe others that have their ids now
        self._known: dict[str, _Task] = {}
        self._counters: dict[int, Counters] = {}
        self._most = _descriptors_allowed() - self._SPARE_DESCRIPTORS

    def counters(self) -> Mapping[int, Counters] | None:
        """The scheduling counters of all threads by TID; None where they cannot be read.

        The same mapping each time, brought up to date; `changed` and `gone` say where.
        """
        if not ON_LINUX:
            return None
        try:
            names = os.listdir(f"/proc/{self.pid}/task")
        except OSError:
            return None
        self.changed, self.gone = [], []
        known, pread = self._known, os.pread
        for name in names:
            task = known.get(name)
            # This is done for each thread at each tick, so it is worth its few lines here.
            if task is not None and task.handle is not None:
                try:
                    if pread(task.handle, 64, 0) == task.raw:
                        continue
                except OSError:
                    pass  # it has ended, and its id has been handed out again
            self._look_again(name, task)
        for name in known.keys() - set(names):
            self._forget(name)
        return self._counters or None

    def _look_again(self, name: str, task: _Task | None) -> None:
        """Read a thread that has run, or is new."""
        counters = task.counters() if task else None
        if task is not None and counters is None:
            self._forget(name)
            task = None
        if task is None:
            task = self._opened(name)
            counters = task.counters() if task else None
            if task is None or counters is None:
                self._close(task)
                return
            self._known[name] = task
        if self._counters.get(task.tid) != counters:
            assert counters is not None
            self._counters[task.tid] = counters
            self.changed.append(task.tid)

    def _forget(self, name: str) -> None:
        task = self._known.pop(name)
        self._close(task)
        del self._counters[task.tid]
        self.gone.append(task.tid)

    def details(self, tids: Iterable[int]) -> dict[int, KernelThread]:
        """What else the kernel knows of some threads; without those that have ended."""
        try:
            folder = os.open(f"/proc/{self.pid}/task", os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return {}
        try:
            found = (_thread(folder, str(tid)) for tid in tids)
            return {thread.tid: thread for thread in found if thread}
        finally:
            os.close(folder)

    def stacks(self) -> list[tuple[int, int]]:
        """The ranges of memory that may be a thread's stack, in order: readable and writable."""
        ranges: list[tuple[int, int]] = []
        with contextlib.suppress(OSError, ValueError):
            for line in _contents(f"/proc/{self.pid}/maps").splitlines():
                span, rights, _ = line.split(b" ", 2)
                if rights.startswith(b"rw"):
                    start, end = span.split(b"-")
                    ranges.append((int(start, 16), int(end, 16)))
        return ranges

    def close(self) -> None:
        """Give back the descriptors."""
        for task in self._known.values():
            self._close(task)
        self._known.clear()
        self._counters.clear()

    def _opened(self, name: str) -> _Task | None:
        path = f"/proc/{self.pid}/task/{name}"
        try:
            fields = _after_name(_contents(f"{path}/stat"))
            start_ticks = int(fields[19])
            handle = None
            with contextlib.suppress(FileNotFoundError):  # a kernel without these counters
                handle = os.open(f"{path}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
            # The lowest free number is given out, so a high one says that few are left, whoever
            # has the others: each process of a tree has a reader of its own.
            if handle is not None and handle >= self._most:
                os.close(handle)
                handle = None
            return _Task(int(name), start_ticks, path, handle)
        except (OSError, IndexError, ValueError):
            return None

    def _close(self, task: _Task | None) -> None:
        if task is not None and task.handle is not None:
            os.close(task.handle)
            task.handle = None


class _Task:
    """One thread, with its counters kept open."""

    __slots__ = ("handle", "path", "raw", "start_ticks", "tid")

    def __init__(self, tid: int, start_ticks: int, path: str, handle: int | None) -> None:
        self.tid = tid
        self.start_ticks = start_ticks
        self.path = path
        self.handle = handle
        self.raw = b""  # what was read last

    def counters(self) -> Counters | None:
        """The counters now; None when the thread has ended."""
        try:
            handle = self.handle
            self.raw = self._read_by_path() if handle is None else os.pread(handle, 64, 0)
        except OSError:
            return None
        fields = self.raw.split()
        if len(fields) < 3:
            return Counters(self.start_ticks, None, None)
        return Counters(self.start_ticks, int(fields[2]), int(fields[0]))

    def _read_by_path(self) -> bytes:
        # The id may have been handed out again since, and then this is another thread.
        stat = _contents(f"{self.path}/stat")
        if int(_after_name(stat)[19]) != self.start_ticks:
            raise ProcessLookupError
        try:
            return _contents(f"{self.path}/schedstat")
        except FileNotFoundError:
            return b""


def _descriptors_allowed() -> int:
    """How many files this process may have open: as many as it is allowed to allow itself."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            return hard if hard != resource.RLIM_INFINITY else 1 << 20
    return soft if soft != resource.RLIM_INFINITY else 1 << 20


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
            status = _contents(f"/proc/{pid}/task/{name}/status")
            found = re.search(rb"^NSpid:\s+(.*)$", status, re.MULTILINE)
            if found:
                outer[int(found[1].split()[-1])] = int(name)
    return outer


def _thread(folder: int, name: str) -> KernelThread | None:
    """One thread; None when it ended before it was read."""
    try:
        fields = _after_name(_read(folder, f"{name}/stat"))
        call, stack_pointer = _call(folder, name)
        return KernelThread(
            int(name),
            int(fields[19]),
            fields[0].decode(),
            call,
            _wchan(folder, name),
            stack_pointer,
        )
    except (OSError, IndexError, ValueError):
        return None


def _read(folder: int, path: str) -> bytes:
    handle = os.open(path, os.O_RDONLY, dir_fd=folder)
    try:
        return os.read(handle, 4096)
    finally:
        os.close(handle)


def _contents(path: str) -> bytes:
    """A file of /proc. pathlib takes longer to import than one look at a small process does."""
    with open(path, "rb", buffering=0) as file:
        return file.read()


def _after_name(stat: bytes) -> list[bytes]:
    """The fields of a stat file from the state on; the name before it may hold anything."""
    return stat[stat.rindex(b")") + 2 :].split()


def _call(folder: int, name: str) -> tuple[Call | None, int | None]:
    """The call that a thread is in, and its stack pointer; None for what is not to be had."""
    try:
        fields = _read(folder, f"{name}/syscall").split()
    except OSError:
        return None, None
    call = pointer = None
    with contextlib.suppress(IndexError, ValueError):
        pointer = int(fields[-2], 16)
        call = parse_call(fields) if _NUMBERS_KNOWN else None
    return call, pointer


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
