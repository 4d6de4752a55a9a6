"""Files as lines of bounded length: gzipped or not, and from pipes, where one can't go back."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

# A line longer than this is none that leakscope wrote, nor py-spy of 4096 threads with 60 frames
# each: it would only fill the memory.
MAX_LINE = 64 * 1024 * 1024
# No one leaves so much of nothing in a row; a gzipped file of a megabyte can hold a gigabyte of it.
MAX_BLANK = 1024 * 1024

# What reading a file that is not sound gzip, or not whole, raises.
BROKEN_GZIP = (EOFError, zlib.error, gzip.BadGzipFile)


class TooLong(ValueError):
    """A line that is not worth its memory; `line` is its number, from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class Lines:
    """The lines of a file that is open, with their numbers, from the first that is not blank on.

    Raises TooLong, and what reading a file and unpacking it raises.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._packed = _with_peek(file)
        self._plain: BinaryIO | None = None
        self._number = 0
        self._blank = 0  # bytes in a row
        self._first: bytes | None = None

    def first(self) -> tuple[int, bytes]:
        """The first line that is not blank, which will be given again; empty if there is none."""
        if self._first is None:
            self._first = self._next()
            while self._first.isspace():
                self._first = self._next()
        return self._number, self._first

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        _, line = self.first()
        while line:
            yield self._number, line
            line = self._next()

    def _next(self) -> bytes:
        if self._plain is None:
            self._plain = self._unpacked()
        line = self._plain.readline(MAX_LINE + 1)
        if not line:
            return b""
        self._number += 1
        if len(line) > MAX_LINE:
            raise TooLong(f"longer than {MAX_LINE >> 20} MiB", self._number)
        self._blank = self._blank + len(line) if line.isspace() else 0
        if self._blank > MAX_BLANK:
            raise TooLong(f"more than {MAX_BLANK >> 20} MiB of blanks", self._number)
        # What editors of Windows begin a file with; a file of nothing else has a blank line.
        return line.removeprefix(codecs.BOM_UTF8) or b"\n" if self._number == 1 else line

    def _unpacked(self) -> BinaryIO:
        if self._packed.peek(2)[:2] == b"\x1f\x8b":
            return cast(BinaryIO, gzip.GzipFile(fileobj=self._packed))
        return self._packed


def _with_peek(file: BinaryIO) -> io.BufferedReader:
    if isinstance(file, io.BufferedReader):
        return file
    return io.BufferedReader(cast(io.RawIOBase, file))
