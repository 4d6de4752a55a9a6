"""A cgroup of one's own, where the machine lets root make one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def pids_cgroup(pid: int, allowed: int | str = "max", name: str = "") -> Iterator[str]:
    """Put a process into a cgroup of its own, with this pids.max; yield the name of it."""
    tops = [Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")]
    top = next((top for top in tops if (top / "cgroup.procs").exists()), None)
    if top is None:
        pytest.skip("no pids controller is mounted")
    name = name or f"leakscope-test-{os.getpid()}"
    folder = top / name
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made: {error}")
    try:
        try:
            (folder / "pids.max").write_text(str(allowed))
            (folder / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            pytest.skip(f"no cgroup can be limited: {error}")
        yield name
    finally:
        _remove(folder, top)


def _remove(folder: Path, top: Path) -> None:
    for pid in (folder / "cgroup.procs").read_text().split():
        (top / "cgroup.procs").write_text(pid)
    deadline_s = time.monotonic() + 5
    while True:
        try:
            return folder.rmdir()
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.01)
