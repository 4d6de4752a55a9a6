"""What `leakscope doctor` finds out about a process, and what it says of it. Values only.

What could not be found out is an `Unknown`, which says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from leakscope.limits import Limit
from leakscope.model import Target


class Status(StrEnum):
    """How good it is."""

    OK = "ok"
    NOTE = "note"  # something is not seen, or is to be known
    PROBLEM = "problem"  # nothing is seen, or the process is close to harm


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    found: str
    advice: str = ""  # what to do, where there is something to do


@dataclass(frozen=True, slots=True)
class Checkup:
    """All that was looked at, and what it comes to."""

    target: Target
    began_at: float  # Unix s
    checks: tuple[Check, ...]
    exit_status: int  # 0: its threads can be read
    summary: str
    threads: int | None  # that Python knows, as far as py-spy shows them
    os_threads: int | None
    dump_s: float | None  # how long the trial dump took
    blocking_pause_s: float | None  # for how long a blocking one would stop the process


class Unknown(NamedTuple):
    """Something that could not be found out."""

    why: str


class Presence(StrEnum):
    """Whether there is such a process."""

    THERE = "there"
    HIDDEN = "hidden"  # the kernel knows it, and /proc does not show it to this user
    GONE = "gone"


class Life(NamedTuple):
    """What a process does, as anyone may see."""

    state: str  # R, S, D, T, t, Z, X
    age_s: float
    os_threads: int
    tracer: str | None  # `4711 (strace)`
    is_kernel_thread: bool
    leader: int  # the process whose thread this is: itself, unless it is the id of a thread


class Owner(NamedTuple):
    """Whose process it is."""

    uid: int  # that it acts as
    user: str
    is_dumpable: bool  # else the kernel lets only root look into it


class Looker(NamedTuple):
    """Who leakscope is."""

    uid: int
    user: str
    may_trace: bool  # has CAP_SYS_PTRACE
    yama_scope: int | None
    in_user_namespace: bool  # where being root says little
    container: str | None


class Namespaces(NamedTuple):
    """Where the process lives: names of kinds, such as `pid`."""

    own: tuple[str, ...]  # which of them leakscope does not share
    is_inner: bool | None  # leakscope itself is not in the PID namespace of the host
    inner_pid: int | None  # what the process is called in its own PID namespace
    root: str  # its root folder, as leakscope names it


class Python(NamedTuple):
    """The Python of a process."""

    version: str
    file: str
    abi_flags: str | None


class Files(NamedTuple):
    """What the mapped files of a process tell."""

    python: Python | None
    pools: tuple[str, ...]  # libraries that are known to start threads of their own
    interpreters: str | None  # what makes sub-interpreters, and is loaded


class KernelFile(NamedTuple):
    """A file below /proc/PID/task/TID, and what is wrong with it."""

    name: str
    trouble: str | None


class Cgroups(NamedTuple):
    """Limits of a process, and the versions of the cgroups that they come from."""

    versions: tuple[str, ...]
    limits: tuple[Limit, ...]


class Refusal(NamedTuple):
    """Why a dump failed."""

    message: str
    advice: str
    exit_status: int


class Native(NamedTuple):
    """A thread that the kernel knows and py-spy does not show."""

    tid: int
    name: str


class Trial(NamedTuple):
    """One dump that was tried, without stopping the process."""

    took_s: float
    tries: int
    threads: int | None  # None where it failed
    others: int | None  # that the kernel knows besides; None where they were not counted
    natives: tuple[Native, ...]  # which these are, where threads have ids
    os_threads: int | None  # of the same moment
    refusal: Refusal | None


@dataclass(frozen=True, slots=True)
class Findings:
    """All that was found out of a process. Of one that is not there, only the presence is known."""

    target: Target
    began_at: float
    presence: Presence
    life: Life | Unknown
    owner: Owner | Unknown
    looker: Looker
    namespaces: Namespaces | Unknown
    pyspy: str | Refusal  # its version and place
    files: Files | Unknown
    kernel_files: tuple[KernelFile, ...] | Unknown
    cgroups: Cgroups | Unknown
    trial: Trial | None  # None where there was nothing to try it on, or nothing to try it with

    @property
    def os_threads(self) -> int | None:
        """How many threads the kernel counts; None where that could not be read."""
        if self.trial and self.trial.os_threads is not None:
            return self.trial.os_threads
        return None if isinstance(self.life, Unknown) else self.life.os_threads

    @property
    def is_not_python(self) -> bool:
        """Whether none of its files is a Python, and py-spy found none in its memory either."""
        was_dumped = self.trial is not None and self.trial.threads is not None
        return isinstance(self.files, Files) and self.files.python is None and not was_dumped
