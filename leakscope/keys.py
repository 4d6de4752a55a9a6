"""Keys out of the bytes that a terminal sends. Pure."""

from __future__ import annotations

import codecs
import re
from enum import StrEnum


class Key(StrEnum):
    """Keys that are no character; every other key is the character that it types."""

    UP = "up"
    DOWN = "down"
    LEFT = "left"
    RIGHT = "right"
    PAGE_UP = "page up"
    PAGE_DOWN = "page down"
    HOME = "home"
    END = "end"
    ENTER = "enter"
    ESCAPE = "escape"
    BACKSPACE = "backspace"
    REDRAW = "redraw"  # Ctrl-L


_CONTROLS = {
    "\r": Key.ENTER,
    "\n": Key.ENTER,
    "\x7f": Key.BACKSPACE,
    "\b": Key.BACKSPACE,
    "\x0c": Key.REDRAW,
}
# What follows the escape, as xterm, rxvt, screen and the Linux console send it.
_SEQUENCES = {
    **dict.fromkeys(("[A", "OA"), Key.UP),
    **dict.fromkeys(("[B", "OB"), Key.DOWN),
    **dict.fromkeys(("[C", "OC"), Key.RIGHT),
    **dict.fromkeys(("[D", "OD"), Key.LEFT),
    **dict.fromkeys(("[5~",), Key.PAGE_UP),
    **dict.fromkeys(("[6~",), Key.PAGE_DOWN),
    **dict.fromkeys(("[H", "OH", "[1~", "[7~"), Key.HOME),
    **dict.fromkeys(("[F", "OF", "[4~", "[8~"), Key.END),
    **dict.fromkeys(("OM",), Key.ENTER),  # of the keypad
}
# A whole sequence: of a function key, or with parameters and a final letter.
_WHOLE = re.compile(r"\x1b(O[ -~]|\[[0-?]*[ -/]*[@-~])")
_BEGUN = re.compile(r"\x1b(O?|\[[0-?]*[ -/]*)\Z")


class Keys:
    """Takes in bytes as they come, which may be half a key, and gives the keys."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    @property
    def are_begun(self) -> bool:
        """Whether an escape has come that may be a key of its own, or the begin of another."""
        return bool(self._rest)

    def of(self, data: bytes) -> list[str]:
        """The keys that are complete now; those that nothing here knows are left out."""
        text = self._rest + self._decoder.decode(data)
        keys: list[str] = []
        while text and not _BEGUN.match(text):
            sequence = _WHOLE.match(text)
            if sequence:
                text = text[sequence.end() :]
                keys += [_SEQUENCES[sequence[1]]] if sequence[1] in _SEQUENCES else []
                continue
            keys += _key(text[0])
            text = text[1:]
        self._rest = text
        return keys

    def at_rest(self) -> list[str]:
        """The key that an escape was, after which nothing came."""
        begun, self._rest = self._rest, ""
        return [Key.ESCAPE] if begun else []


def _key(char: str) -> list[str]:
    if char == "\x1b":
        return [Key.ESCAPE]
    if char in _CONTROLS:
        return [_CONTROLS[char]]
    return [char] if char.isprintable() else []
