"""Finds the Python interpreters that leakscope can be tried on.

Looked through in this order: LEAKSCOPE_TEST_PYTHONS (executables, or folders that hold pythonX.Y),
.pythons/usr/bin of this repository, pyenv's versions, and PATH.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

WANTED = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")

START_TIMEOUT_S = 20.0

# What a candidate tells of itself; its own path too, because a name on PATH may be a stand-in.
_PROBE = """
import platform, sys, threading
assert platform.python_implementation() == "CPython"
print("%d.%d" % sys.version_info[:2], platform.python_version(), sys.executable)
"""


class Interpreter(NamedTuple):
    """One that was run and works."""

    version: str  # "3.8"
    release: str  # "3.8.18"
    path: Path


class Search(NamedTuple):
    """What was found, and by version why others can't be used."""

    found: dict[str, Interpreter]
    broken: dict[str, str]


def find_pythons() -> dict[str, Path]:
    """Return one working interpreter for each wanted version that is there."""
    return {version: found.path for version, found in _search().found.items()}


def release_of(version: str) -> str:
    """Return the full version number of a found interpreter."""
    return _search().found[version].release


def why_missing(version: str) -> str:
    """Say why a wanted version was not found."""
    return _search().broken.get(version, f"python{version} not found")


@functools.cache
def _search() -> Search:
    found: dict[str, Interpreter] = {}
    broken: dict[str, str] = {}
    for path, hint in _candidates():
        if hint in found:
            continue
        interpreter = _probe(path)
        if isinstance(interpreter, Interpreter):
            if interpreter.version in WANTED:
                found.setdefault(interpreter.version, interpreter)
        elif hint is not None:
            broken[hint] = interpreter
    ordered = {version: found[version] for version in WANTED if version in found}
    return Search(ordered, {key: why for key, why in broken.items() if key not in found})


def _probe(path: Path) -> Interpreter | str:
    """Run it once; what is wrong with it comes back as text."""
    try:
        done = subprocess.run(
            [path, "-c", _PROBE],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=START_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path} does not start: {error}"
    if done.returncode != 0:
        reason = (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
        return f"{path} does not start: {reason}"
    version, release, executable = done.stdout.strip().split(" ", 2)
    return Interpreter(version, release, Path(executable))


def _candidates() -> Iterator[tuple[Path, str | None]]:
    """Yield paths to try, each with the version its name promises."""
    for place in os.environ.get("LEAKSCOPE_TEST_PYTHONS", "").split(os.pathsep):
        if place and Path(place).is_dir():
            yield from _named_pythons(Path(place))
        elif place:
            yield Path(place), None
    yield from _named_pythons(Path(__file__).parent.parent / ".pythons/usr/bin")
    yield from _pyenv_pythons()
    folders = [Path(folder) for folder in os.get_exec_path() if folder]
    for folder in folders:
        yield from _named_pythons(folder)
    yield Path(sys.executable), ".".join(map(str, sys.version_info[:2]))
    for folder in folders:
        if (folder / "python3").is_file():
            yield folder / "python3", None


def _named_pythons(folder: Path) -> Iterator[tuple[Path, str]]:
    for version in WANTED:
        path = folder / f"python{version}"
        if path.is_file() and os.access(path, os.X_OK):
            yield path, version


def _pyenv_pythons() -> Iterator[tuple[Path, str]]:
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    releases = [
        (tuple(map(int, match.groups())), folder / "bin/python")
        for folder in root.glob("versions/*")
        if (match := re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", folder.name))
    ]
    for (major, minor, _), path in sorted(releases, reverse=True):  # newest release first
        if f"{major}.{minor}" in WANTED and path.is_file():
            yield path, f"{major}.{minor}"
