"""Runs leakscope as another user, one without rights."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import leakscope
from leakscope.sources.pyspy import find_pyspy
from tests.pythons import find_pythons
from tests.running import unmeasured

NOBODY = 65534

# Modules are imported first: nobody may not be able to read the folders that they are in. click
# needs difflib on its way to a short option, importlib.metadata a parser for what packages say,
# `run` ctypes.
_AS_NOBODY = """
import ctypes, difflib, email.parser, importlib, os, pkgutil, sys
import leakscope
for module in pkgutil.walk_packages(leakscope.__path__, "leakscope."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
leakscope.sources.pyspy.find_pyspy = lambda: {pyspy!r}
os.setgroups([])
os.setgid({nobody})
os.setuid({nobody})
leakscope.cli.main(sys.argv[1:])
"""


def as_nobody(
    folder: Path, *args: str, launcher: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run leakscope as a user without rights, by way of a command `launcher`; only root can."""
    pyspy = Path(shutil.copy(find_pyspy(), folder))
    script = _AS_NOBODY.format(pyspy=str(pyspy), nobody=NOBODY)
    return subprocess.run(
        [*launcher, sys.executable, "-c", script, *args],
        capture_output=True,
        check=False,
        cwd="/",
        # It may not write what it measures where that is collected.
        env={**unmeasured(), "PYTHONPATH": str(Path(leakscope.__file__).parent.parent)},
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
    )


@contextlib.contextmanager
def shared_folder() -> Iterator[Path]:
    """A folder that every user can look into; pytest's own is closed to others."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    folder = Path("/tmp") / f"leakscope-test-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def anyones_python() -> Path:
    """An interpreter that every user can run; the test is skipped where there is none."""
    for python in [*find_pythons().values(), Path("/usr/bin/python3")]:
        tried = subprocess.run(
            [python, "-c", ""], user=NOBODY, cwd="/", check=False, stderr=subprocess.DEVNULL
        ) if _may_run(python) else None  # fmt: skip
        if tried is not None and tried.returncode == 0:
            return python
    pytest.skip("no Python here that another user can run")


def _may_run(python: Path) -> bool:
    """Whether another user can reach a file."""
    return python.exists() and all(
        folder.stat().st_mode & 0o005 == 0o005 for folder in python.resolve().parents
    )
