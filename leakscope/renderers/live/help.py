"""What the keys do, and how to read the view."""

from __future__ import annotations

from rich.text import Text

from leakscope.renderers.live.pen import Pen
from leakscope.report import Report

_KEYS = (
    ("Up Down, j k", "select a group; in a detail or here, scroll"),
    ("PgUp PgDn, Home End", "the same by half a screen, or to the end"),
    ("Enter", "the group's stack, evidence and threads, and what to do"),
    ("Esc", "back; on the first screen, drop the filter"),
    ("s", "order of the table: by suspicion, count, change, place"),
    ("f", "filter: groups with this in a function, file, wait, verdict or thread name"),
    ("p", "hold what is shown; the watch goes on, and p shows the latest again"),
    ("w", "write the report as of now to a file in this directory"),
    ("?", "this page"),
    ("q", "end the watch and print its report, as Ctrl-C does"),
    ("Ctrl-L", "draw anew"),
)
_READING = (
    "A group is all threads with the same stack. `change` is its growth since the first sample.",
    "The line of threads has two parts: before the watch, by the births of threads that still "
    "live; and what was seen. Ages of both parts stand beside them.",
    "`leaking` is proven by the rules of the README, `growing` is not; `warming` is a pool that "
    "fills up, `churning` threads that come and go, `steady` and `shrinking` are well.",
    "`limit` is what the leaks hit first, at their rate; where nothing leaks, what is used most.",
    "Bold places are of your own code, dim ones of Python's standard library.",
)


def help_page(report: Report, pen: Pen) -> list[Text]:
    """All of it, however many lines it takes."""
    width = max(len(keys) for keys, _ in _KEYS)
    lines = [pen.line(("keys", "heading"))]
    for keys, does in _KEYS:
        lines += pen.wrapped(f"  {keys.ljust(width)}  ", does)
    lines += [Text(), pen.line(("reading the screen", "heading"))]
    for sentence in _READING:
        lines += pen.wrapped("  ", sentence)
    if report.not_seen:
        lines += [Text(), pen.line(("not seen", "heading"))]
        for sentence in report.not_seen:
            lines += pen.wrapped("  ", sentence)
    return lines
