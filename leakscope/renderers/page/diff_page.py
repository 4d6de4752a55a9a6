"""The page of a comparison: what is on it, as values for the template."""

from __future__ import annotations

from collections.abc import Iterator

from leakscope.diffing import ChangeKind, Diff
from leakscope.renderers.page.drawing import drawn
from leakscope.renderers.page.tree import Held, merged
from leakscope.renderers.wording import place, plural
from leakscope.stacks import real_frames

MOST_GROWN = 12  # told with their stacks
MOST_CHANGES = 600  # rows of the table


def lines(diff: Diff) -> list[str]:
    """The lines of the page."""
    return diff_page(diff).split("\n")


def diff_page(diff: Diff) -> str:
    """The whole page."""
    grown = [change for change in diff.changes if change.growth > 0]
    word, said = _verdict(diff)
    return drawn(
        "diff.html",
        {
            "diff": diff,
            "word": word,
            "said": said,
            "title": f"{word}: {said}",
            "facts": tuple(_facts(diff)),
            "grown": grown[:MOST_GROWN],
            "more_grown": max(len(grown) - MOST_GROWN, 0),
            "changes": diff.changes[:MOST_CHANGES],
            "more_changes": max(len(diff.changes) - MOST_CHANGES, 0),
            "biggest": max([1, *(max(c.before, c.after) for c in diff.changes)]),
            "tree": merged(
                Held(change.frames, change.after, min(max(change.growth, 0), change.after))
                for change in diff.changes
                if change.after
            ),
            "signed": _signed,
            "place": place,
            "plural": plural,
            "real_frames": real_frames,
        },
    )


def _verdict(diff: Diff) -> tuple[str, str]:
    grown = [change for change in diff.changes if change.growth >= diff.min_growth]
    more = _signed(diff.threads_after - diff.threads_before)
    if not grown:
        return "no growth", f"no group has {diff.min_growth} threads more; {more} in all"
    threads = sum(change.growth for change in grown)
    have = "has" if len(grown) == 1 else "have"
    return "grown", f"{plural(len(grown), 'group')} {have} {threads} threads more; {more} in all"


def _facts(diff: Diff) -> Iterator[tuple[str, str]]:
    yield "threads before", f"{diff.threads_before:,}"
    yield "threads after", f"{diff.threads_after:,}"
    kinds = [change.kind for change in diff.changes]
    for kind in ChangeKind:
        yield f"groups {kind.value}", str(kinds.count(kind))


def _signed(number: int) -> str:
    return f"{number:+d}" if number else "0"
