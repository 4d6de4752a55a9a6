"""A comparison of two looks as Markdown, to paste where people talk about it."""

from __future__ import annotations

from collections.abc import Iterator

from leakscope.diffing import Change, Diff
from leakscope.renderers.markdown import code, escaped, fenced, in_table, table
from leakscope.renderers.text import stack_lines
from leakscope.renderers.wording import place, plural, signed

TOP_STACKS = 5  # of what grew most; all of them are in the JSON


def lines(diff: Diff) -> Iterator[str]:
    """The totals, what has changed, and the stacks of what grew most."""
    before, after = diff.threads_before, diff.threads_after
    yield f"# Threads: {before} before, {after} after ({signed(after - before)})"
    yield ""
    yield f"- Before: {code(diff.before)}"
    yield f"- After: {code(diff.after)}"
    yield from (f"- Note: {escaped(note)}" for note in diff.notes)
    changed = [change for change in diff.changes if change.growth]
    if changed:
        yield from ("", "## What has changed", "")
        yield from table(
            ("change", "before", "after", "what", "waits in", "where", "group"),
            map(_row, changed),
        )
    for change in [change for change in changed if change.growth > 0][:TOP_STACKS]:
        grown = f"{signed(change.growth)} {plural(change.growth, 'thread').split()[1]}"
        yield from ("", f"## {grown}: {code(place(change.site))}", "")
        yield from fenced(stack_lines(change.frames))
    same = len(diff.changes) - len(changed)
    yield from ("", f"Unchanged: {plural(same, 'group')}.")


def _row(change: Change) -> tuple[str, ...]:
    return (
        signed(change.growth),
        str(change.before),
        str(change.after),
        change.kind.value,
        escaped(change.wait or "-"),
        in_table(code(place(change.site))),
        code(change.id),
    )
