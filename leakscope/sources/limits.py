"""What a process can run out of, as Linux tells it: the only reader of limits and cgroups.

A limit that cannot be read is left out, and so is one that does not bind; off Linux there are none.
Every path is taken below `root`, which is a folder of their own in tests.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
from collections.abc import Iterator
from itertools import chain, takewhile
from pathlib import Path
from typing import NamedTuple

from leakscope.limits import Limit, Usage

_ROOT = Path("/")

# A thread's stack and the guard page below it.
_MAPS_PER_THREAD = 2.0

# cgroup v1 says "no limit" as the highest number of whole pages; no machine has this many bytes.
_UNLIMITED = 1 << 60

# Whoever holds one of these may exceed RLIMIT_NPROC (copy_process in the kernel's fork.c).
_EXEMPTING = 1 << 21 | 1 << 24  # CAP_SYS_ADMIN, CAP_SYS_RESOURCE


def limits_of(pid: int, root: Path = _ROOT) -> tuple[Limit, ...]:
    """All limits that more threads of a process run into.

    What a thread takes of memory is not known here: `per_thread` is 0 in those limits.
    """
    return tuple(
        chain(
            _of_cgroups(pid, root),
            _of_user(pid, root / "proc"),
            _of_kernel(root / "proc"),
            _of_maps(pid, root / "proc"),
        )
    )


def usage_of(pid: int, elapsed_s: float, threads: int, root: Path = _ROOT) -> Usage:
    """What a process takes up now. A few microseconds, and one for each open descriptor."""
    folder = root / f"proc/{pid}"
    resident = descriptors = None
    with contextlib.suppress(OSError, ValueError, IndexError):
        resident = int(_text(folder / "statm").split()[1]) * mmap.PAGESIZE
    with contextlib.suppress(OSError):
        descriptors = len(os.listdir(folder / "fd"))
    return Usage(elapsed_s, threads, resident, descriptors)


# --- limits of the user, of the kernel, of the address space --------------------------------------


def _of_user(pid: int, proc: Path) -> Iterator[Limit]:
    """RLIMIT_NPROC, which counts the threads of all processes with the same real user.

    Processes of that user in PID namespaces that cannot be seen from here go uncounted.
    """
    status = _text(proc / f"{pid}/status")
    allowed = re.search(r"^Max processes +(\d+)", _text(proc / f"{pid}/limits"), re.MULTILINE)
    uid = _field(status, "Uid")
    if not allowed or uid is None or _is_exempt(status, proc / f"{pid}/uid_map"):
        return
    used = 0
    for other in _names(proc):
        if other.isdecimal():
            status = _text(proc / other / "status")
            if _field(status, "Uid") == uid:
                used += int(_field(status, "Threads") or 0)
    user = f"user {user_name(int(uid))}"
    yield Limit(f"RLIMIT_NPROC {allowed[1]} ({user})", used, int(allowed[1]), 1.0)


def _is_exempt(status: str, uid_map: Path) -> bool:
    """Whether RLIMIT_NPROC does not hold for a process: root's, and those with certain rights.

    Root and rights within a user namespace of one's own do not count.
    """
    mapped = _text(uid_map).split()
    if mapped and mapped != ["0", "0", "4294967295"]:
        return False
    rights = int(_field(status, "CapEff") or "0", 16)
    return _field(status, "Uid") == "0" or bool(rights & _EXEMPTING)


def user_name(uid: int) -> str:
    """What a user is called; the number where it has no name."""
    with contextlib.suppress(ImportError, KeyError, OverflowError):
        import pwd  # not on Windows

        return pwd.getpwuid(uid).pw_name
    return str(uid)


def _of_kernel(proc: Path) -> Iterator[Limit]:
    """The limits of the whole machine. `/proc/loadavg` counts all its threads: `1/201`."""
    threads = re.search(r"\d+/(\d+)", _text(proc / "loadavg"))
    for name in ("threads-max", "pid_max"):
        allowed = _number(proc / "sys/kernel" / name)
        if threads and allowed is not None:
            yield Limit(f"kernel.{name} {allowed}", int(threads[1]), allowed, 1.0)


def _of_maps(pid: int, proc: Path) -> Iterator[Limit]:
    allowed = _number(proc / "sys/vm/max_map_count")
    used = _text(proc / f"{pid}/maps").count("\n")
    if allowed is not None and used:
        yield Limit(f"vm.max_map_count {allowed}", used, allowed, _MAPS_PER_THREAD)


# --- limits of cgroups ----------------------------------------------------------------------------


class _Row(NamedTuple):
    """A limit of a cgroup: the files of its folder that tell it."""

    controller: str
    allowed: str
    used: str
    # Key in memory.stat of page cache that the kernel drops before it lets the limit bind; kubelet
    # and `docker stats` take the same off.
    dropped: str | None
    per_thread: float


_ROWS = (
    _Row("pids", "pids.max", "pids.current", None, 1.0),  # v1 and v2
    _Row("memory", "memory.max", "memory.current", "inactive_file", 0.0),
    _Row("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", 0.0),
)


class _Mount(NamedTuple):
    """A place where a tree of cgroups can be read."""

    controllers: frozenset[str]  # for v2, whose tree is for all of them: the empty one
    top: tuple[str, ...]  # the cgroup that is mounted here
    folder: Path


def _of_cgroups(pid: int, root: Path) -> Iterator[Limit]:
    """The limits of a process's cgroups, and of all those above: a limit binds all below it."""
    mounts = list(_mounts_seen(pid, root))
    for line in _text(root / f"proc/{pid}/cgroup").split("\n"):
        _, _, entry = line.partition(":")
        controllers, _, path = entry.partition(":")
        if not path.startswith("/"):
            continue  # the empty line at the end
        wanted = frozenset(controllers.split(","))
        ways = [_way_up(path, mount) for mount in mounts if mount.controllers & wanted]
        # The same tree may be mounted more than once: take the mount that shows most of the way.
        way = max(ways, key=len, default=[])
        for row in _ROWS:
            if row.controller in wanted or not controllers:
                yield from (limit for one in way for limit in _of_cgroup(*one, row))


def _of_cgroup(name: str, folder: Path, row: _Row) -> Iterator[Limit]:
    allowed, used = _number(folder / row.allowed), _number(folder / row.used)
    if allowed is None or used is None or allowed >= _UNLIMITED:
        return  # unreadable, or without a limit (v2 says "max")
    if row.dropped is not None:
        stat = _text(folder / "memory.stat")
        dropped = re.search(rf"^{row.dropped} (\d+)$", stat, re.MULTILINE)
        used = max(used - int(dropped[1]), 0) if dropped else used
    value = str(allowed) if row.controller == "pids" else _bytes(allowed)
    yield Limit(f"{row.allowed} {value} (cgroup {name})", used, allowed, row.per_thread)


def _mounts_seen(pid: int, root: Path) -> Iterator[_Mount]:
    """The cgroup trees that are mounted for leakscope, and those for the process.

    From a sidecar container only the latter shows the cgroups of the process.
    """
    yield from _mounts(_text(root / "proc/self/mountinfo"), root)
    yield from _mounts(_text(root / f"proc/{pid}/mountinfo"), root / f"proc/{pid}/root")


def _mounts(mountinfo: str, root: Path) -> Iterator[_Mount]:
    """See proc_pid_mountinfo(5): `31 23 0:28 ROOT POINT rw - cgroup NAME rw,pids`."""
    for line in mountinfo.split("\n"):
        left, _, right = line.partition(" - ")
        fields, kind_and_options = left.split(" "), right.split(" ")
        if len(fields) < 5 or kind_and_options[0] not in ("cgroup", "cgroup2"):
            continue
        options = "" if kind_and_options[0] == "cgroup2" else kind_and_options[-1]
        yield _Mount(
            frozenset(options.split(",")),
            _parts(_unescaped(fields[3])),
            root.joinpath(*_parts(_unescaped(fields[4]))),
        )


def _way_up(path: str, mount: _Mount) -> list[tuple[str, Path]]:
    """Name and folder of a cgroup and of each above it, as far as a mount shows them.

    Names are relative to the cgroup that leakscope takes for the root, its namespace's, and lead
    upwards from there with `..`: for both the process and the mount, so that they compare.
    """
    own = _parts(path)
    pairs = zip(own, mount.top, strict=False)
    shared = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
    below, beyond = own[shared:], mount.top[shared:]
    if ".." in below or any(part != ".." for part in beyond):
        return []  # the process is elsewhere in the tree
    if beyond:
        below = ()  # the mount begins above the process, but how it goes on is not told
    names = ("/".join(("", *mount.top, *below[:depth])) for depth in range(len(below), -1, -1))
    folders = (mount.folder.joinpath(*below[:depth]) for depth in range(len(below), -1, -1))
    return [
        (name or "/", folder) for name, folder in zip(names, folders, strict=True) if _is(folder)
    ]


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)


def _unescaped(text: str) -> str:
    r"""A path of mountinfo, in which a blank is `\040`."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


# --- files ----------------------------------------------------------------------------------------


def _text(path: Path) -> str:
    """What a file holds; nothing where it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None


def _field(status: str, name: str) -> str | None:
    """The first value of a line of `/proc/PID/status`."""
    found = re.search(rf"^{name}:\s+(\S+)", status, re.MULTILINE)
    return found[1] if found else None


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _is(folder: Path) -> bool:
    try:
        return folder.is_dir()
    except OSError:
        return False


def _bytes(size: int) -> str:
    """`512 MiB`."""
    for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >> shift:
            return f"{size / (1 << shift):.4g} {unit}"
    return f"{size} B"
