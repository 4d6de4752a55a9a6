"""Where results go: standard output, or a file that is never left half or empty by a failure."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable
from typing import TextIO

from leakscope.errors import UsageProblem


class ClosedPipe(Exception):
    """Whoever read our output has gone: the end of the run, and no fault.

    Not an OSError, because click takes a broken pipe for itself, with a status of its own.
    """


class Output:
    """Lines of results. Opened with the first line, so that a failure before leaves nothing."""

    def __init__(self, path: str = "-") -> None:
        """Raises UsageProblem at once when there is no folder to write to, not after hours."""
        if path != "-" and not os.path.isdir(os.path.dirname(path) or "."):
            raise UsageProblem(f"cannot write to {path}: No such file or directory")
        self.path = path
        self._file: TextIO | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads this as it is written."""
        return self.path == "-" and sys.stdout.isatty()

    def lines(self, lines: Iterable[str]) -> None:
        """Write lines and flush them, so that a pipe sees each result at once."""
        try:
            file = self._opened()
            file.writelines(line + "\n" for line in lines)
            file.flush()
        except BrokenPipeError:
            raise ClosedPipe from None
        except OSError as error:
            where = "standard output" if self.path == "-" else self.path
            raise UsageProblem(f"cannot write to {where}: {error.strerror or error}") from None

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None and self._file is not sys.stdout:
            self._file.close()

    def _opened(self) -> TextIO:
        if self._file is None:
            self._file = _stdout() if self.path == "-" else _created(self.path)
        return self._file


def _stdout() -> TextIO:
    """Standard output; what its encoding lacks is written escaped rather than not at all."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return sys.stdout


def _created(path: str) -> TextIO:
    return open(path, "w", encoding="utf-8", errors="backslashreplace")


def silence_stdout() -> None:
    """Let nothing more reach a closed pipe, the flush at the interpreter's end included."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
