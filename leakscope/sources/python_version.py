"""Which Python a process runs, read from the files that it has mapped; nothing is started."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

# A mapped file that is an interpreter: python3.11, python3, libpython3.11.so.1.0.
_INTERPRETER = re.compile(r"/(?:lib)?python(\d(?:\.\d+)?)?[^/]*$")
# A stdlib module built as a shared object tells the minor version, whatever the program is called.
_STDLIB_MODULE = re.compile(r"/lib(?:64)?/python(3\.\d+)[^/]*/lib-dynload/")

# What names of extension modules and the binary that loads them hold: `cpython-313t-x86_64-...`.
_ABI = r"cpython-3\d+([a-z]*)-"

_PARTS_OF_NUMBERS = tuple(bytes([byte]) for byte in b"0123456789.")


class Build(NamedTuple):
    """Which Python it is, and how it was built."""

    version: str
    file: str  # the interpreter: a program, or libpython
    abi_flags: str | None  # `t` free-threaded, `d` debug; None where it could not be told


def mapped_files(pid: int) -> list[str]:
    """The files that a process has mapped, each once. Raises OSError where that can't be read."""
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as file:
        maps = file.read()
    return list(dict.fromkeys(re.findall(r"(/.*)$", maps, re.MULTILINE)))


def python_build(pid: int, paths: list[str]) -> Build | None:
    """How the Python was built, from the mapped files of the process; None if it is not Python."""
    version = _version_of(pid, paths)
    if version is None:
        return None
    interpreters = [path for path in paths if _INTERPRETER.search(path)]
    # With a libpython the program itself is a few kilobytes that load it.
    interpreters.sort(key=lambda path: not os.path.basename(path).startswith("libpython"))
    return Build(version, interpreters[0] if interpreters else "", _abi_flags(pid, paths))


def _abi_flags(pid: int, paths: list[str]) -> str | None:
    for path in paths:
        found = re.search(rf"/[^/]*\.{_ABI}[^/]*\.so$", path)
        if found:
            return found[1]
    for path in paths:
        if _INTERPRETER.search(path):
            for place in (f"/proc/{pid}/root{path}", path):
                flags = _abi_flags_in(place)
                if flags is not None:
                    return flags
    return None


def _abi_flags_in(path: str) -> str | None:
    with contextlib.suppress(OSError, ValueError), _contents(path) as data:
        found = re.search(_ABI.encode(), data)
        return found[1].decode() if found else None
    return None


def python_version(pid: int) -> str | None:
    """The version, such as `3.11.7`; `3.11` where no more can be told; None if not Python."""
    try:
        return _version_of(pid, mapped_files(pid))
    except OSError:
        return None


def _version_of(pid: int, paths: list[str]) -> str | None:
    interpreters = [path for path in paths if _INTERPRETER.search(path)]
    minor = _minor(paths, interpreters)
    if minor is None:
        return None
    for path in interpreters:
        # A container's files are below its own root.
        version = _version_in(f"/proc/{pid}/root{path}", minor) or _version_in(path, minor)
        if version:
            return version
    return minor


def _minor(paths: list[str], interpreters: list[str]) -> str | None:
    for pattern, where in ((_STDLIB_MODULE, paths), (_INTERPRETER, interpreters)):
        for path in where:
            found = pattern.search(path)
            if found and found[1] and "." in found[1]:
                return found[1]
    return None


def _version_in(path: str, minor: str) -> str | None:
    with contextlib.suppress(OSError):
        status = os.stat(path)
        return _search(path, minor, (status.st_dev, status.st_ino, status.st_mtime_ns))
    return None


@lru_cache(maxsize=64)
def _search(path: str, minor: str, _identity: tuple[int, int, int]) -> str | None:
    """The version that a binary was built as: the constant behind `platform.python_version()`.

    It ends a string in the file; linkers merge it with a longer one that ends alike, so that
    nothing can be asked of what stands before it.
    """
    # The literal comes first: then the search runs at the speed of memory.
    wanted = re.escape(minor).encode() + rb"\.\d{1,2}(?:(?:a|b|rc)\d+)?(?=\+?\0)"
    with contextlib.suppress(OSError, ValueError), _contents(path) as data:
        for found in re.finditer(wanted, data):
            if data[found.start() - 1 : found.start()] not in _PARTS_OF_NUMBERS:
                return found[0].decode()
    return None


@contextlib.contextmanager
def _contents(path: str) -> Iterator[mmap.mmap]:
    """A file's bytes. Raises OSError or ValueError where it has none."""
    # The path is the target's to choose: a pipe in the place of the file must not hold us up.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        with mmap.mmap(handle, 0, access=mmap.ACCESS_READ) as data:
            yield data
    finally:
        os.close(handle)
