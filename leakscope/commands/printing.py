"""Lines of text to where they go: with colour for a person who wants it, else as they are."""

from __future__ import annotations

import os
from collections.abc import Iterable

from leakscope.output import Output
from leakscope.report import Kind, Report


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


def write_report(report: Report, path: str, format_: str, color: str) -> None:
    """Write a report to where `-o` says."""
    out = Output(path)
    if format_ == "text":
        from leakscope.renderers import text

        lines = text.dump_lines if report.kind is Kind.DUMP else text.report_lines
        print_lines(out, lines(report), color)
    else:
        from leakscope.wire import encode, report_document

        out.lines([encode(report_document(report))])
    out.close()
