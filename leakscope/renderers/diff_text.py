"""A comparison of two looks as lines of plain text."""

from __future__ import annotations

from collections.abc import Iterator

from leakscope.diffing import Change, Diff
from leakscope.printable import printable
from leakscope.renderers.text import stack_lines
from leakscope.renderers.wording import place, plural, signed


def lines(diff: Diff) -> Iterator[str]:
    """The totals, then each group that changed, biggest growth first; with frames if it grew."""
    before, after = diff.threads_before, diff.threads_after
    yield f"thread profile: {before} -> {after} ({signed(after - before)})"
    yield f"{printable(diff.before)} -> {printable(diff.after)}"
    for note in diff.notes:
        yield f"note: {printable(note)}"
    for change in diff.changes:
        if change.growth > 0:
            yield ""
            yield _change_line(change)
            yield from stack_lines(change.frames)
    fewer = [change for change in diff.changes if change.growth < 0]
    if fewer:
        yield ""
        yield from map(_change_line, fewer)
    same = [change for change in diff.changes if not change.growth]
    yield ""
    yield f"unchanged: {plural(len(same), 'group')}, {plural(sum(c.after for c in same), 'thread')}"


def _change_line(change: Change) -> str:
    return (
        f"{signed(change.growth)}  {change.before} -> {change.after}  {change.id}"
        f"  [{change.wait or '-'}]  {place(change.site)}  {change.kind.value}"
    )
