"""Makes text of the target harmless to print: a thread may be called anything, escapes included."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Printable by their category, yet seen as nothing: joiners, fillers, blanks, and the selectors of
# ideographic and Mongolian variants (those of emoji, U+FE00 to FE0F, are in daily use and stay).
_INVISIBLE = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\U000e0100-\U000e01ef]"
)


@lru_cache(maxsize=8192)
def printable(text: str) -> str:
    """The text with whatever could steer a terminal, or not be seen, as an escape such as `\\x1b`.

    It is for reading, not for decoding: a backslash of the text's own stays as it is.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _is_visible(char) else _escape(char) for char in text)


def _is_visible(char: str) -> bool:
    # str.isprintable() refuses controls, format characters (bidi and zero-width ones among them),
    # surrogates, private-use and unassigned ones, line separators - and spaces other than ASCII's.
    if char.isprintable():
        return not _INVISIBLE.match(char)
    return unicodedata.category(char) == "Zs"


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def cell_width(text: str) -> int:
    """How many columns of a terminal printable text takes: CJK two a character, combining none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(char) in ("Mn", "Me") else
        2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )  # fmt: skip


def clipped(text: str, length: int) -> str:
    """The text, or its beginning and `...` where it is longer."""
    return text if len(text) <= length else text[: max(length - 3, 0)] + "..."


def short_path(filename: str) -> str:
    """The last two components of a path, which is as much as a line has room for."""
    return "/".join([part for part in re.split(r"[/\\]", filename) if part][-2:])
