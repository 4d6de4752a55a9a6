"""Colour for the lines of a text report, and the console that a live view is drawn on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style

from leakscope.policy import Trend
from leakscope.renderers.theme import THEME, origin
from leakscope.report import Overall


def console_for(*, color: bool) -> Console:
    """A console on standard output, which is a terminal; without colour it keeps bold and dim."""
    return Console(
        force_terminal=True, no_color=not color, highlight=False, markup=False, emoji=False
    )


# What a line of renderers.text looks like, and where in the theme its style is.
_VERDICT_LINE = re.compile(r"(LEAKING|growing|clean|unknown): ")
_LEAK_LINE = re.compile(r"LEAK \d+  ")
_FRAME_LINE = re.compile(r" *#   .*?   (?P<file>\S.*?)(?::\d+)?$")
_GROUP_LINE = re.compile(r"\d+ @ .*  (?P<trend>LEAKING|RUNAWAY|GROWING|WARMING)$")
_TABLE_LINE = re.compile(r" *\d+ +(?:0|[+-]\d+) +\d+  (?P<trend>[a-z]+) ")
_CHANGE_LINE = re.compile(r" *[\d.]+ s  \S+  \w+ -> (?P<trend>[a-z]+)  ")
_GROWN_LINE = re.compile(r"\+\d+  \d+ -> \d+  ")  # of a comparison
_CHECK_LINE = re.compile(r"(?P<status>ok|note|problem)  +\S")  # of a check-up
_CHECK_STYLES = {"ok": "", "note": "magenta", "problem": "bold red"}


def colored(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a text report, with escapes for a terminal that shows colour."""
    for line in lines:
        style = _style_of(line)
        yield Style.parse(style).render(line, color_system=ColorSystem.STANDARD) if style else line


def _style_of(line: str) -> str:
    verdict = _VERDICT_LINE.match(line)
    if verdict:
        return THEME[Overall(verdict[1].lower())]
    if _LEAK_LINE.match(line):
        return THEME[Trend.LEAKING]
    if _GROWN_LINE.match(line):
        return THEME[Trend.GROWING]
    check = _CHECK_LINE.match(line)
    if check:
        return _CHECK_STYLES[check["status"]]
    frame = _FRAME_LINE.match(line)
    if frame:
        return THEME[origin(frame["file"])]
    for pattern in (_GROUP_LINE, _TABLE_LINE, _CHANGE_LINE):
        found = pattern.match(line)
        if found:
            return THEME.get(found["trend"].lower(), "")
    return ""
