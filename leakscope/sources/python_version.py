"""Which Python a process runs, read from the files that it has mapped; nothing is started."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
from functools import lru_cache

# A mapped file that is an interpreter: python3.11, python3, libpython3.11.so.1.0.
_INTERPRETER = re.compile(r"/(?:lib)?python(\d(?:\.\d+)?)?[^/]*$")
# A stdlib module built as a shared object tells the minor version, whatever the program is called.
_STDLIB_MODULE = re.compile(r"/lib(?:64)?/python(3\.\d+)[^/]*/lib-dynload/")

_PARTS_OF_NUMBERS = tuple(bytes([byte]) for byte in b"0123456789.")


def python_version(pid: int) -> str | None:
    """The version, such as `3.11.7`; `3.11` where no more can be told; None if not Python."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as file:
            maps = file.read()
    except OSError:
        return None
    paths = list(dict.fromkeys(re.findall(r"(/.*)$", maps, re.MULTILINE)))
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
    with (
        contextlib.suppress(OSError, ValueError),
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        for found in re.finditer(wanted, data):
            if data[found.start() - 1 : found.start()] not in _PARTS_OF_NUMBERS:
                return found[0].decode()
    return None
