"""What the kernel says of processes, for tests that must know it without leakscope."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

# What a test waits for comes within this time, on a slow machine too.
PATIENCE_S = 30.0


def wait_for(condition: Callable[[], object], what: str = "", *, each_s: float = 0.01) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:.0f} s: {what}"
        time.sleep(each_s)


def thread_states(pid: int) -> dict[int, str]:
    """The state of each thread of a process, by its id: R, S, D, T (stopped), t (traced), Z."""
    states = {}
    for task in _tasks(pid):
        with contextlib.suppress(OSError):
            stat = (task / "stat").read_text(errors="replace")
            states[int(task.name)] = stat.rpartition(")")[2].split()[0]
    return states


def tracers(pid: int) -> set[int]:
    """The processes that trace any thread of a process."""
    found = set()
    for task in _tasks(pid):
        with contextlib.suppress(OSError):
            status = (task / "status").read_text(errors="replace")
            found |= {int(pid) for pid in re.findall(r"^TracerPid:\t([1-9]\d*)", status, re.M)}
    return found


def runs_untraced(pid: int) -> bool:
    """Whether nobody holds any thread of a process."""
    states = thread_states(pid)
    return bool(states) and not {"t", "T", "Z"} & set(states.values()) and not tracers(pid)


def children(pid: int) -> list[int]:
    """The processes that any thread of a process has started."""
    found: list[int] = []
    for task in _tasks(pid):
        with contextlib.suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found


def command(pid: int) -> str:
    """What a process is called."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    return ""


def started_pyspys(pid: int) -> list[int]:
    """The py-spys that a leakscope has running now."""
    return [child for child in children(pid) if command(child) == "py-spy"]


def resident_kib(pid: int) -> int:
    """The resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)
    assert found, status
    return int(found[1])


def is_there(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    states = thread_states(pid)
    return states.get(pid, "X") not in "ZX"


def _tasks(pid: int) -> list[Path]:
    with contextlib.suppress(OSError):
        return [Path(f"/proc/{pid}/task/{name}") for name in os.listdir(f"/proc/{pid}/task")]
    return []
