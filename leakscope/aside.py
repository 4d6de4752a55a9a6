"""What is said on standard error while a view has the screen, kept for after it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import deque

_STDERR = 2
_MOST_LINES = 1000  # of a debug log that goes on for days
_MOST_BYTES = 65536


class Aside:
    """Holds back words on standard error, if they would land on the terminal."""

    def __init__(self) -> None:
        self.reader: int | None = None  # readable when something was said
        self._before: int | None = None
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._begun = b""

    def take(self) -> None:
        """Hold back from now on, whatever of this process writes there."""
        if self._before is not None or not os.isatty(_STDERR):
            return
        self.reader, writer = os.pipe()
        os.set_blocking(self.reader, False)
        self._before = os.dup(_STDERR)
        os.dup2(writer, _STDERR)
        os.close(writer)

    def read(self) -> str:
        """Take in what was said; the last line of it."""
        with contextlib.suppress(BlockingIOError):
            while self.reader is not None:
                data = os.read(self.reader, _MOST_BYTES)
                if not data:
                    break
                *lines, self._begun = (self._begun + data).split(b"\n")
                self._lines.extend(line.decode(errors="replace") for line in lines)
        return self._lines[-1] if self._lines else ""

    def give_back(self) -> None:
        """Let all that was held back out; more than once does no harm."""
        if self._before is None or self.reader is None:
            return
        sys.stderr.flush()
        self.read()
        os.dup2(self._before, _STDERR)
        os.close(self._before)
        os.close(self.reader)
        self._before = self.reader = None
        said = "".join(f"{line}\n" for line in self._lines) + self._begun.decode(errors="replace")
        self._lines.clear()
        self._begun = b""
        sys.stderr.write(said)
        sys.stderr.flush()
