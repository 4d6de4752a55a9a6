"""Lines of text to where they go: with colour for a person who wants it, else as they are."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from leakscope.output import Output

if TYPE_CHECKING:
    from rich.console import Console


def wants_color(out: Output, color: str) -> bool:
    """Whether to colour: as `--color` says, else NO_COLOR, else FORCE_COLOR, else on a terminal."""
    if color != "auto":
        return color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (
        out.is_terminal and os.environ.get("TERM") != "dumb"
    )


def print_lines(out: Output, lines: Iterable[str], color: str) -> None:
    """Write the lines of a text report."""
    if wants_color(out, color):
        from leakscope.renderers.terminal import colored

        lines = colored(lines)
    out.lines(lines)


def console(color: str, out: Output) -> Console:
    """rich's console for the live view, with colour or without."""
    from leakscope.renderers.terminal import console_for

    return console_for(color=wants_color(out, color))
