"""Standard input as a keyboard: each key at once and unseen, and then all as it was before."""

from __future__ import annotations

import contextlib
import os
import sys
import termios
from typing import Any

from leakscope.keys import Keys

# Of what tcgetattr gives.
_LOCAL_FLAGS, _SPECIAL = 3, 6
_MOST_BYTES = 1024  # at once; more is a paste, of which the rest comes with the next read


class Keyboard:
    """The keys typed at standard input, if that is a terminal."""

    def __init__(self) -> None:
        self._keys = Keys()
        self._before: list[Any] | None = None
        self._is_over = not _is_terminal()

    @property
    def handle(self) -> int | None:
        """The descriptor to wait for; None while there is nothing to be read."""
        return None if self._before is None or self._is_over else sys.stdin.fileno()

    @property
    def is_there(self) -> bool:
        """Whether keys can be pressed."""
        return not self._is_over

    @property
    def waits_for_more(self) -> bool:
        """Whether half a key has come, so that a moment tells which one it is."""
        return self._keys.are_begun

    def take(self) -> None:
        """Have keys come one by one, without an echo. Ctrl-C and the like stay what they are."""
        if self._is_over or self._before is not None:
            return
        with contextlib.suppress(termios.error):
            before = termios.tcgetattr(sys.stdin.fileno())
            now = [*before[:_SPECIAL], [*before[_SPECIAL]]]
            now[_LOCAL_FLAGS] &= ~(termios.ECHO | termios.ICANON)
            now[_SPECIAL][termios.VMIN], now[_SPECIAL][termios.VTIME] = 1, 0
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, now)
            self._before = before

    def give_back(self) -> None:
        """Leave the terminal as it was found; more than once does no harm."""
        before, self._before = self._before, None
        if before is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, before)

    def read(self) -> list[str]:
        """The keys that have come. At the end of the input there are none any more."""
        try:
            data = os.read(sys.stdin.fileno(), _MOST_BYTES)
        except OSError:
            data = b""  # the terminal has gone
        self._is_over = self._is_over or not data
        return self._keys.of(data)

    def at_rest(self) -> list[str]:
        """The key that half a key was, when nothing came after it."""
        return self._keys.at_rest()


def _is_terminal() -> bool:
    try:
        return sys.stdin.isatty()
    except (AttributeError, ValueError):  # there is none, or it was closed
        return False


def is_in_foreground() -> bool:
    """Whether the terminal of standard output is ours to draw on: no background job's."""
    try:
        return os.tcgetpgrp(sys.stdout.fileno()) == os.getpgrp()
    except OSError:
        return True  # not the terminal that controls this session: no shell is at it
