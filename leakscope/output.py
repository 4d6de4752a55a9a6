"""Where results go: standard output, or a file that is never left half or empty by a failure."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable
from typing import TextIO

from leakscope.destination import Destination, Growing
from leakscope.errors import UsageProblem


class ClosedPipe(Exception):
    """Whoever read our output has gone: the end of the run, and no fault.

    Not an OSError, because click takes a broken pipe for itself, with a status of its own.
    """


class Output:
    """Lines of results. Opened with the first line, so that a failure before leaves nothing.

    A file is written when it is closed, whole or not at all; one that `grows` as lines come.
    """

    def __init__(self, path: str = "-", *, grows: bool = False, to_stderr: bool = False) -> None:
        """`-` is standard output, or standard error where that is somebody else's.

        Raises UsageProblem at once when nothing can be written there, not after hours.
        """
        self._file = None if path == "-" else _File(Destination(path), grows=grows)
        self._to_stderr = to_stderr

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads this as it is written."""
        return self._file is None and self._stream().isatty()

    @property
    def has_unicode(self) -> bool:
        """Whether more than ASCII is wanted, and arrives as it is."""
        from leakscope.locales import may_draw  # most results draw nothing

        return self._file is not None or may_draw(self._stream().encoding)

    def lines(self, lines: Iterable[str]) -> None:
        """Write lines and flush them, so that a pipe sees each result at once."""
        text = "".join(f"{line}\n" for line in lines)
        try:
            if self._file is not None:
                self._file.add(text.encode("utf-8", "backslashreplace"))
                return
            stream = self._stream()
            stream.write(text)
            stream.flush()
        except BrokenPipeError:
            raise ClosedPipe from None
        except OSError as error:
            name = "error" if self._to_stderr else "output"
            message = f"cannot write to standard {name}: {error.strerror or error}"
            raise UsageProblem(message) from None

    def _stream(self) -> TextIO:
        """What its encoding lacks is written escaped rather than not at all."""
        stream = sys.stderr if self._to_stderr else sys.stdout
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
        return stream

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            try:
                self._file.close()
            except BrokenPipeError:
                raise ClosedPipe from None


class _File:
    """A file that is written at its end, or as it grows."""

    def __init__(self, destination: Destination, *, grows: bool) -> None:
        self._destination = destination
        self._grows = grows
        self._growing: Growing | None = None
        self._content: list[bytes] = []

    def add(self, content: bytes) -> None:
        if not self._grows:
            self._content.append(content)
            return
        if self._growing is None:
            self._growing = Growing(self._destination, content)
            return
        try:
            self._growing.add(content)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._destination.problem(error) from None

    def close(self) -> None:
        if self._growing is not None:
            self._growing.close()
        elif self._content:
            self._destination.write(b"".join(self._content))
        self._destination.close()


def say(what: str, advice: str = "") -> None:
    """One clear line on standard error, and what to do."""
    from leakscope.printable import printable  # most runs have nothing to say

    tell(f"leakscope: {printable(what)}")
    for line in advice.splitlines():
        tell(f"  {printable(line)}")


def tell(line: str) -> None:
    """A line on standard error, beside the results; that nobody reads it there ends nothing."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def silence_stdout() -> None:
    """Let nothing more reach a closed pipe, the flush at the interpreter's end included."""
    _silence(sys.stdout)


def silence_stderr() -> None:
    """The same for standard error, whose flush at the end would make the status 120."""
    _silence(sys.stderr)


def _silence(stream: TextIO) -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
