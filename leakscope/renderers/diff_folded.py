"""A comparison as folded lines with two counts, which differential flame graphs are drawn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from leakscope.diffing import Diff
from leakscope.renderers.folded import folded


def lines(diff: Diff) -> Iterator[str]:
    """`outermost;...;innermost before after`, biggest growth first, as difffolded.pl writes it."""
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for change in diff.changes:
        stack = ";".join(folded(change.frames, diff.level))
        before[stack] += change.before
        after[stack] += change.after
    for stack in sorted(after, key=lambda stack: (before[stack] - after[stack], stack)):
        yield f"{stack} {before[stack]} {after[stack]}"
