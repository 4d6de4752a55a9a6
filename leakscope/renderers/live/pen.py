"""Lines of the view: each as wide as the terminal at most, harmless, and of ASCII where asked."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from rich.text import Text

from leakscope.facts import Point
from leakscope.printable import cell_width, printable
from leakscope.renderers.sparkline import ASCII_BLOCKS, BLOCKS, sparkline
from leakscope.renderers.theme import THEME

Part = str | tuple[str, str]  # a text, or one and its style in the theme

_LEFT_OUT = "..."
_LEAST_WRAPPED = 20  # columns; less holds hardly a word


class Signs(NamedTuple):
    """What is drawn with."""

    blocks: str
    full: str
    empty: str
    seam: str
    up_down: str


_UNICODE = Signs(BLOCKS, "█", "░", "│", "↑↓")
_ASCII = Signs(ASCII_BLOCKS, "#", ".", "|", "up/down")


class Pen(NamedTuple):
    """What lines are written with."""

    width: int  # columns
    unicode: bool

    @property
    def signs(self) -> Signs:
        """What it draws with."""
        return _UNICODE if self.unicode else _ASCII

    def clean(self, text: str) -> str:
        """The text, harmless, and within what the terminal can show."""
        text = printable(text)
        return text if self.unicode else text.encode("ascii", "backslashreplace").decode("ascii")

    def line(self, *parts: Part) -> Text:
        """One line of these parts, cut off where the terminal ends."""
        line = Text(no_wrap=True, overflow="crop")
        for part in parts:
            text, role = (part, "library") if isinstance(part, str) else part
            line.append(self.clean(text), THEME[role])
        return self.cut(line, self.width)

    def cell(self, text: str, width: int, *, right: bool = False) -> str:
        """The text in a column of this width."""
        cut = self.cut(Text(self.clean(text)), width).plain
        blanks = " " * max(width - cell_width(cut), 0)
        return blanks + cut if right else cut + blanks

    def cut(self, text: Text, width: int) -> Text:
        """The text within this width; a mark stands where some is left out."""
        text.truncate(max(width, 0), overflow="ellipsis" if self.unicode else "crop")
        return text

    def tail(self, text: str, width: int) -> str:
        """The end of a text, which of a path says most, where not all of it fits."""
        text = self.clean(text)
        if cell_width(text) <= width:
            return text
        while text and cell_width(text) > width - len(_LEFT_OUT):
            text = text[1:]
        return _LEFT_OUT + text

    def wrapped(self, label: str, text: str, role: str = "library") -> list[Text]:
        """A text in as many lines as it takes, below its label."""
        indent = " " * len(label)
        width = max(self.width - len(label), _LEAST_WRAPPED)
        lines = textwrap.wrap(self.clean(text), width, break_on_hyphens=False)
        return [
            self.line((indent if i else label, "heading"), (line, role))
            for i, line in enumerate(lines)
        ]

    def bar(self, share: float, width: int) -> str:
        """A part of 1, drawn; what is more than nothing is seen."""
        full = round(min(max(share, 0.0), 1.0) * width)
        if share > 0:
            full = max(full, 1)
        return self.signs.full * full + self.signs.empty * (width - full)

    def sparkline(self, points: Sequence[Point], now_s: float, began_s: float, width: int) -> str:
        """Sizes over time."""
        return sparkline(points, now_s, began_s, width, blocks=self.signs.blocks)
