"""A comparison as a file of speedscope's: one profile before, one after."""

from __future__ import annotations

from collections.abc import Iterator

from leakscope.diffing import Diff
from leakscope.printable import printable
from leakscope.renderers.speedscope import Profile, document
from leakscope.renderers.wording import plural


def lines(diff: Diff) -> Iterator[str]:
    """The file, on one line."""
    before, after = printable(diff.before), printable(diff.after)
    sides = (
        (f"before: {before}", diff.threads_before, [(c.frames, c.before) for c in diff.changes]),
        (f"after: {after}", diff.threads_after, [(c.frames, c.after) for c in diff.changes]),
    )
    profiles = [
        Profile(f"{name}: {plural(threads, 'thread')}", tuple(one for one in stacks if one[1]))
        for name, threads, stacks in sides
    ]
    yield document(profiles, f"{before} -> {after}")
