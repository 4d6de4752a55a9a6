"""What was found, in the format that was asked for, to where it goes; in colour for a person."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from leakscope.output import Output

# Format -> module below leakscope.renderers, imported when it is asked for; its `lines` takes what
# was found and gives lines of text. A new format is a new module and a row here.
OF_REPORTS = {
    "text": "text",
    "markdown": "markdown",
    "json": "json_report",
    "ndjson": "json_report",
    "folded": "folded",
    "speedscope": "speedscope",
    "openmetrics": "openmetrics",
}
OF_DIFFS = {
    "text": "diff_text",
    "markdown": "diff_markdown",
    "json": "json_diff",
    "ndjson": "json_diff",
    "folded": "diff_folded",
    "speedscope": "diff_speedscope",
    "openmetrics": "diff_openmetrics",
}
OF_RANKINGS = {
    "text": "rank_text",
    "json": "json_rank",
    "ndjson": "json_rank",
}


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


def renderer(formats: Mapping[str, str], format_: str) -> Callable[[Any], Iterable[str]]:
    """From what was found to the lines of a format."""
    lines: Callable[[Any], Iterable[str]]
    lines = importlib.import_module(f"leakscope.renderers.{formats[format_]}").lines
    return lines


def write(found: object, formats: Mapping[str, str], format_: str, path: str, color: str) -> None:
    """Write what was found to where `-o` says, in one of its formats."""
    out = Output(path)
    lines = renderer(formats, format_)(found)
    if format_ == "text":
        print_lines(out, lines, color)
    else:
        out.lines(lines)
    out.close()
