"""Stacks as folded lines, `outermost;...;innermost count`, which flame graphs are drawn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from leakscope.levels import Level
from leakscope.model import Frame, Frames
from leakscope.printable import printable, short_path
from leakscope.report import Report
from leakscope.stacks import real_frames

NOT_READ = "stack not read"


def lines(report: Report) -> Iterator[str]:
    """The threads as they are now, a line a stack, the commonest first."""
    counts: Counter[str] = Counter()
    for group in report.groups:
        if group.level is not report.level:
            continue
        for stay in group.stays:
            # Of several processes each is a tower of its own.
            root = (f"process {stay.key.pid}",) if report.several else ()
            counts[";".join((*root, *folded(stay.frames, report.level)))] += 1
    for stack, size in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        yield f"{stack} {size}"


def folded(frames: Frames, level: Level) -> Iterator[str]:
    """The frames, outermost first, as names without a semicolon or anything that ends a line.

    Line numbers are in them only where threads are told apart by these: else the calls of one
    function would stand side by side, and a comparison of two releases would fit nowhere.
    """
    real = real_frames(frames)
    if not real:
        yield NOT_READ
    for frame in reversed(real):
        yield _name(frame, with_line=level is Level.LINE)


def _name(frame: Frame, *, with_line: bool) -> str:
    # The parentheses are there even where no file is known: a name that ended in a number would be
    # read as the first of two counts.
    where = short_path(frame.filename) or "?"
    if with_line and frame.line > 0:
        where = f"{where}:{frame.line}"
    return printable(f"{frame.function or '?'} ({where})").replace(";", "\\x3b")
