"""What the kernel tells of it, and which limits it has."""

from __future__ import annotations

from collections.abc import Iterator

from leakscope.checks.marks import count, note, ok, problem, unknown
from leakscope.checkup import (
    Check,
    Findings,
    KernelFile,
    Unknown,
)
from leakscope.limits import Limit

# From this share of a limit on, a burst may reach it.
_NEARLY = 0.9


_LOST = {
    "stat": "no start times and no states: growth is told only as far as it is watched",
    "schedstat": "whether a thread ran between two looks: what is in use looks more like a leak",
    "syscall": "whether a wait has a deadline, and what it reads from",
    "wchan": "what waits in C are for; frames tell it of some",
}


def kernel_files(findings: Findings) -> Iterator[Check]:
    """Which files of the kernel can be read, and what is lost without the others."""
    files = findings.kernel_files
    if isinstance(files, Unknown):
        yield unknown("kernel facts", files)
        return
    for file in files:
        yield _kernel_file(file)


def _kernel_file(file: KernelFile) -> Check:
    if file.trouble is None:
        return ok(file.name, "readable")
    return note(file.name, f"not readable ({file.trouble}); unknown: {_LOST[file.name]}")


def limits(findings: Findings) -> Iterator[Check]:
    """Which limit on threads is nearest, and how full the memory is."""
    cgroups = findings.cgroups
    if isinstance(cgroups, Unknown):
        yield unknown("limits", cgroups)
        return
    versions = " and ".join(cgroups.versions)
    where = f" (cgroup {versions})" if versions else ""
    counted = [limit for limit in cgroups.limits if limit.per_thread > 0]
    if counted:
        nearest = min(counted, key=_room)
        yield _limit(
            "thread limit",
            nearest,
            f"room for {count(max(int(_room(nearest)), 0), 'more thread')}: {nearest.name}, "
            f"{nearest.used} used",
        )
    else:
        yield note("thread limit", f"none could be read{where}")
    others = [limit for limit in cgroups.limits if limit.per_thread <= 0]
    if others:
        fullest = max(others, key=_share)
        yield _limit("memory limit", fullest, f"{fullest.name}, {_share(fullest):.0%} used")
    else:
        yield ok("memory limit", f"no cgroup that can be read has one{where}")


def _limit(name: str, limit: Limit, found: str) -> Check:
    if _share(limit) >= _NEARLY:
        return problem(name, f"{found}: it is close", "Raise it, or restart the process soon.")
    return ok(name, found)


def _room(limit: Limit) -> float:
    return (limit.allowed - limit.used) / limit.per_thread


def _share(limit: Limit) -> float:
    return limit.used / limit.allowed if limit.allowed else 1.0
