"""Processes and what descends from them: which are Python, and which were left out."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import NamedTuple

import psutil

from leakscope.errors import NoSuchProcess
from leakscope.sources import advice, kernel
from leakscope.sources.process_list import is_python

# A child that has just been forked still runs its parent's program, and may run another one next.
SETTLED_S = 1.0
# What leakscope itself has just started, a person waits for; `env` and its like take far less.
STARTED_S = 0.3
# Names of programs that are told apart among what was left out; a program that starts others
# without end is not to fill the report with them.
_MAX_NAMES = 20


class Found(NamedTuple):
    """A process, told from a later one that was given its PID."""

    pid: int
    start: float  # clock ticks since boot; off Linux, Unix seconds
    exe: str | None  # None where it may not be read; one that runs another program is another one


class Tree:
    """Finds the Python processes among a process and its descendants, anew at each call."""

    def __init__(
        self,
        pid: int,
        settled_s: float = SETTLED_S,
        *,
        is_started: bool = False,
        root_only: bool = False,
    ) -> None:
        """`is_started`: leakscope has just started the root, which is to settle as well."""
        self.pid = pid
        self._settled_s = settled_s
        self._root_only = root_only
        self._is_started = is_started
        self._root_start: float | None = None
        self._python: dict[Found, bool] = {}
        self._left_out: dict[str, tuple[int, int]] = {}  # by name: the first PID, how many
        self._unnamed = 0

    def find(self) -> tuple[Found, ...]:
        """The Python processes that there are now, the root first.

        Raises NoSuchProcess when the root has ended.
        """
        try:
            root = self._root()
            processes = [root, *([] if self._root_only else root.children(recursive=True))]
        except psutil.NoSuchProcess:
            raise NoSuchProcess(f"there is no process {self.pid}") from None
        seen = [found for process in processes if (found := self._found(process))]
        self._python = {found: self._is_python(found) for found in seen}
        return tuple(found for found, python in self._python.items() if python)

    def _root(self) -> psutil.Process:
        """The root, if it is still the process that it was at first. Raises psutil.Error."""
        root = psutil.Process(self.pid)
        start, _ = _start_and_age_s(root)
        self._root_start = start if self._root_start is None else self._root_start
        if start != self._root_start:
            raise psutil.NoSuchProcess(self.pid)
        return root

    def left_out(self) -> tuple[str, ...]:
        """What is in the tree and not looked at, a line for each program."""
        lines = [
            f"left out: {name} ({pid}{f' and {number - 1} more' if number > 1 else ''}), not Python"
            for name, (pid, number) in self._left_out.items()
        ]
        if self._unnamed:
            lines.append(f"left out: {self._unnamed} processes of other programs, not Python")
        if self._is_started and any(self._is_below(*seen) for seen in self._python.items()):
            lines += advice.of_descendants(self.pid)
        return tuple(lines)

    def _is_below(self, found: Found, is_python: bool) -> bool:
        return is_python and found.pid != self.pid

    def _found(self, process: psutil.Process) -> Found | None:
        """What a process is; None for one that has ended, is too new, or is leakscope itself."""
        if process.pid == os.getpid():
            return None
        try:
            start, age_s = _start_and_age_s(process)
            is_new = age_s < self._settled_s
            if is_new and (self._is_started or process.pid != self.pid):
                return None
            return Found(process.pid, start, _executable(process))
        except psutil.Error:
            return None

    def _is_python(self, found: Found) -> bool:
        known = self._python.get(found)
        if known is not None:
            return known
        if found.exe is None or is_python(found.pid, found.exe):
            return True  # what may not be read is tried, for then the reason can be told
        name = os.path.basename(found.exe)
        if name in self._left_out or len(self._left_out) < _MAX_NAMES:
            first, number = self._left_out.get(name, (found.pid, 0))
            self._left_out[name] = (first, number + 1)
        else:
            self._unnamed += 1
        return False


class Trees:
    """Several trees as one, each process of them once."""

    def __init__(self, trees: Iterable[Tree]) -> None:
        self._trees = tuple(trees)
        self._living = list(self._trees)
        self._missing: list[str] = []  # why there is nothing of a tree, from the first
        self._is_first = True

    def find(self) -> tuple[Found, ...]:
        """The Python processes that there are now.

        Raises NoSuchProcess when the roots of all have ended.
        """
        found: dict[Found, None] = {}
        for tree in list(self._living):
            try:
                found.update(dict.fromkeys(tree.find()))
            except NoSuchProcess as error:
                # Never asked again: its PID may be another's one day.
                self._living.remove(tree)
                if self._is_first:
                    self._missing.append(str(error))
        self._is_first = False
        if not self._living:
            raise NoSuchProcess("; ".join(self._missing) or "the processes have ended")
        return tuple(found)

    def left_out(self) -> tuple[str, ...]:
        """What is not looked at, a line each."""
        lines = [line for tree in self._trees for line in tree.left_out()]
        return (*(f"left out: {why}" for why in self._missing), *lines)


def _executable(process: psutil.Process) -> str | None:
    """The file that it runs; a file that was replaced meanwhile keeps its name."""
    try:
        return process.exe().removesuffix(" (deleted)")
    except psutil.AccessDenied:
        return None


def _start_and_age_s(process: psutil.Process) -> tuple[float, float]:
    """When it began, as a number that is its own, and how long ago. Raises psutil.Error."""
    if not kernel.ON_LINUX:
        return process.create_time(), time.time() - process.create_time()
    state = kernel.process_state(process.pid)
    if state is None or state.state in "ZX":
        raise psutil.NoSuchProcess(process.pid)
    since_boot_s = kernel.boot_elapsed_s(0.0)
    return state.start_ticks, since_boot_s - state.start_ticks / kernel.ticks_per_s()
