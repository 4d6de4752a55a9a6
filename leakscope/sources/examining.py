"""Finds out for `leakscope doctor` what can be seen of a process; each thing apart from the others.

Whatever fails becomes an Unknown with its reason, so that the rest is still told.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import os
import platform
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

import psutil

from leakscope.checkup import (
    Cgroups,
    Files,
    Findings,
    KernelFile,
    Life,
    Looker,
    Namespaces,
    Native,
    Owner,
    Presence,
    Python,
    Refusal,
    Trial,
    Unknown,
)
from leakscope.dumps import DumpedThread
from leakscope.errors import DumpFailed, DumpHung, LeakscopeError, NoSuchProcess
from leakscope.model import Target
from leakscope.sources import advice, kernel, pyspy
from leakscope.sources.limits import limits_of, user_name
from leakscope.sources.python_version import mapped_files, python_build
from leakscope.sources.target import target

# While threads come and go a dump fails one time in three; so often in a row by chance hardly ever.
_TRIES = 5
# Threads that are asked for a fact of the kernel's until one has it: a running one has no wchan.
_THREADS_ASKED = 20
# PROC_PID_INIT_INO of the kernel: the inode of the PID namespace that all others are in.
_FIRST_PID_NAMESPACE = "pid:[4026531836]"
_KINDS = ("pid", "mnt", "user")

# Libraries that keep threads of their own, by the names of their files.
_POOLS = {
    "OpenBLAS": r"openblas",
    "MKL": r"libmkl_",
    "OpenMP": r"libgomp|libiomp|libomp\b",
    "TBB": r"libtbb",
    "PyTorch": r"libtorch",
    "TensorFlow": r"libtensorflow|_pywrap_tensorflow",
    "ONNX Runtime": r"onnxruntime",
    "Arrow": r"libarrow",
    "Polars": r"polars.*\.so",
    "DuckDB": r"duckdb",
    "gRPC": r"cygrpc",
    "librdkafka": r"librdkafka",
    "ZeroMQ": r"libzmq",
    "tokio or rayon (Rust)": r"tokio|rayon",
    "libuv": r"libuv|uvloop",
}

# What makes sub-interpreters, by the names of files: the modules for it, and servers that embed.
_INTERPRETERS = {
    "the module _interpreters": r"/_(?:xx)?(?:sub)?interpreters\.",
    "mod_wsgi": r"mod_wsgi",
    "uWSGI": r"/uwsgi(?:-core|_|$)",
}

_P = ParamSpec("_P")
_T = TypeVar("_T")


def examine(pid: int) -> Findings:
    """All that can be found out of a process, one trial dump included."""
    began_at = time.time()
    presence = _presence(pid)
    reader = _pyspy()
    there = presence is Presence.THERE
    trial = _trial(pid) if there and isinstance(reader, str) else None
    return Findings(
        target=_target(pid),
        began_at=began_at,
        presence=presence,
        life=_life(pid),
        owner=_owner(pid),
        looker=_looker(),
        namespaces=_namespaces(pid),
        pyspy=reader,
        files=_files(pid),
        kernel_files=_kernel_files(pid),
        cgroups=_cgroups(pid),
        trial=trial,
    )


def _or_unknown(find: Callable[_P, _T]) -> Callable[_P, _T | Unknown]:
    """Its result, or why it has none; files of /proc go away and refuse at any moment."""

    @functools.wraps(find)
    def found(*args: _P.args, **kwargs: _P.kwargs) -> _T | Unknown:
        if not kernel.ON_LINUX:
            return Unknown("it is told by Linux only")
        try:
            return find(*args, **kwargs)
        except OSError as error:
            return Unknown(f"{error.filename or '/proc'}: {error.strerror or error}")
        except (ValueError, LookupError) as error:  # a line that older kernels don't have, say
            return Unknown(f"what /proc says of it is not understood: {error}")

    return found


# --- the process ----------------------------------------------------------------------------------


def _presence(pid: int) -> Presence:
    if not kernel.ON_LINUX:
        return Presence.THERE if psutil.pid_exists(pid) else Presence.GONE
    if os.path.exists(f"/proc/{pid}/stat"):
        return Presence.THERE
    try:
        os.kill(pid, 0)  # sends nothing; tells of processes that a /proc with hidepid does not show
    except PermissionError:
        return Presence.HIDDEN
    except OSError:
        return Presence.GONE
    return Presence.HIDDEN


def _target(pid: int) -> Target:
    try:
        return target(pid)
    except NoSuchProcess:
        return Target(pid)


@_or_unknown
def _life(pid: int) -> Life:
    state = kernel.process_state(pid)
    if state is None:  # it does not say why
        _text(f"/proc/{pid}/stat")
        raise OSError("it has just ended")
    born_s = state.start_ticks / kernel.ticks_per_s()
    return Life(
        state=state.state,
        age_s=max(time.clock_gettime(time.CLOCK_BOOTTIME) - born_s, 0.0),
        os_threads=state.threads,
        tracer=_process_name(state.tracer_pid) if state.tracer_pid else None,
        is_kernel_thread=state.is_kernel_thread,
        leader=int(_status(pid)["Tgid"][0]),
    )


def _process_name(pid: int) -> str:
    """`4711 (strace)`, or the number where it has no name for us."""
    with contextlib.suppress(OSError):
        return f"{pid} ({_text(f'/proc/{pid}/comm').strip()})"
    return str(pid)


@_or_unknown
def _owner(pid: int) -> Owner:
    uid = int(_status(pid)["Uid"][1])  # the effective one
    # The files of a process that may not be dumped (PR_SET_DUMPABLE) belong to root instead.
    return Owner(uid, user_name(uid), os.stat(f"/proc/{pid}/maps").st_uid == uid)


def _looker() -> Looker:
    uid = os.geteuid() if hasattr(os, "geteuid") else -1
    mapped: list[str] = []
    with contextlib.suppress(OSError):
        mapped = _text("/proc/self/uid_map").split()
    return Looker(
        uid=uid,
        user=user_name(uid),
        may_trace=advice.has_ptrace_right(),
        yama_scope=advice.yama_scope(),
        in_user_namespace=bool(mapped) and mapped != ["0", "0", "4294967295"],
        container=advice.container(),
    )


@_or_unknown
def _namespaces(pid: int) -> Namespaces:
    def of(process: int | str, kind: str) -> str:
        return os.readlink(f"/proc/{process}/ns/{kind}")

    inner = int(_status(pid)["NSpid"][-1])
    return Namespaces(
        own=tuple(kind for kind in _KINDS if of(pid, kind) != of("self", kind)),
        is_inner=of("self", "pid") != _FIRST_PID_NAMESPACE,
        inner_pid=None if inner == pid else inner,
        root=os.readlink(f"/proc/{pid}/root"),
    )


@_or_unknown
def _files(pid: int) -> Files:
    paths = mapped_files(pid)
    build = python_build(pid, paths)
    loaders = _named(_INTERPRETERS, paths)
    return Files(
        Python(*build) if build else None, _named(_POOLS, paths), next(iter(loaders), None)
    )


def _named(table: dict[str, str], paths: Iterable[str]) -> tuple[str, ...]:
    """The names whose pattern fits one of the files."""
    joined = "\n".join(paths)
    return tuple(name for name, pattern in table.items() if re.search(pattern, joined, re.M))


# --- what the kernel tells ------------------------------------------------------------------------


@_or_unknown
def _kernel_files(pid: int) -> tuple[KernelFile, ...]:
    tids = [str(pid), *os.listdir(f"/proc/{pid}/task")][:_THREADS_ASKED]
    folders = [f"/proc/{pid}/task/{tid}" for tid in tids]
    return tuple(
        KernelFile(name, _trouble_with(name, folders))
        for name in ("stat", "schedstat", "syscall", "wchan")
    )


def _trouble_with(name: str, folders: Iterable[str]) -> str | None:
    """Why a file tells nothing of any of these threads; None as soon as it tells of one."""
    if name == "syscall" and platform.machine() != "x86_64":
        return "leakscope knows the numbers of system calls on x86-64 only"
    trouble = None
    for folder in folders:
        try:
            text = _text(f"{folder}/{name}").strip()
        except OSError as error:
            trouble = trouble or error.strerror or str(error)
            continue
        if text not in _EMPTY.get(name, ("",)) or (name == "wchan" and _is_running(folder)):
            return None
        trouble = "it is there, and empty"
    return trouble


def _is_running(folder: str) -> bool:
    """Whether a thread waits for nothing at the moment, so that an empty wchan says nothing."""
    with contextlib.suppress(OSError):
        return _text(f"{folder}/stat").rpartition(")")[2].split()[:1] == ["R"]
    return False


# What these say where the kernel does not count, or does not tell this user.
_EMPTY = {"wchan": ("", "0"), "schedstat": ("", "0 0 0")}


@_or_unknown
def _cgroups(pid: int) -> Cgroups:
    lines = _text(f"/proc/{pid}/cgroup").splitlines()
    versions = {"v2" if line.startswith("0::") else "v1" for line in lines}
    return Cgroups(tuple(sorted(versions)), limits_of(pid))


# --- the trial ------------------------------------------------------------------------------------


def _pyspy() -> str | Refusal:
    try:
        path = pyspy.find_pyspy()
    except LeakscopeError as error:
        return _refusal(error)
    try:
        return f"{importlib.metadata.version('py-spy')}, {path}"
    except importlib.metadata.PackageNotFoundError:
        return path


def _trial(pid: int) -> Trial:
    """A dump that does not stop the process; tried anew where it may succeed the next time."""
    dumper = pyspy.PySpy(pid)
    tries = 0
    while True:
        tries += 1
        tids = _tids(pid)
        began_s = time.monotonic()
        try:
            dumped = dumper.dump()
        except LeakscopeError as error:
            took_s = time.monotonic() - began_s
            may_pass = isinstance(error, DumpFailed) and not isinstance(error, DumpHung)
            if may_pass and tries < _TRIES and len(tids) <= pyspy.PYSPY_LIMIT:
                continue
            return Trial(took_s, tries, None, None, (), len(tids) or None, _refusal(error))
        took_s = time.monotonic() - began_s
        return _compared(pid, took_s, tries, dumped, tids)


def _compared(
    pid: int, took_s: float, tries: int, dumped: tuple[DumpedThread, ...], before: set[int]
) -> Trial:
    """A dump beside the threads that the kernel knows: those of just before it and of just now."""
    now = _tids(pid)
    stayed = before & now  # others may have been born or ended while it was read
    known = _outer(pid, [thread.os_thread_id for thread in dumped])
    natives = () if known is None else tuple(_natives(pid, stayed - known))
    others = max(len(stayed) - len(dumped), 0) if known is None else len(natives)
    return Trial(
        took_s, tries, len(dumped), others if stayed else None, natives, len(now) or None, None
    )


def _refusal(error: LeakscopeError) -> Refusal:
    return Refusal(str(error), error.advice, error.exit_code)


def _tids(pid: int) -> set[int]:
    try:
        return set(map(int, os.listdir(f"/proc/{pid}/task")))
    except (OSError, ValueError):
        return set()


def _outer(pid: int, tids: list[int | None]) -> set[int] | None:
    """The ids that threads have here, of those that py-spy gave; None where it gave none.

    Of a process in a PID namespace of its own it gives those inside.
    """
    known = {tid for tid in tids if tid is not None}
    if len(known) < len(tids) or not kernel.ON_LINUX:
        return None
    outer = kernel.inner_tids(pid)
    return {outer.get(tid, tid) for tid in known}


def _natives(pid: int, tids: Iterable[int]) -> Iterator[Native]:
    for tid in sorted(tids):
        with contextlib.suppress(OSError):
            yield Native(tid, _text(f"/proc/{pid}/task/{tid}/comm").rstrip("\n"))


# --- files ----------------------------------------------------------------------------------------


def _text(path: str) -> str:
    return Path(path).read_bytes().decode("utf-8", "surrogateescape")


def _status(pid: int) -> dict[str, list[str]]:
    """The lines of /proc/PID/status by name, each as its values."""
    lines = _text(f"/proc/{pid}/status").splitlines()
    parts = (line.partition(":") for line in lines)
    return {name: values.split() for name, _, values in parts}
