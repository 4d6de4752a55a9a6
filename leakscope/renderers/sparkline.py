"""A count over time, drawn in one line of text."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from leakscope.facts import Point

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII_BLOCKS = "_.-:=+*#"

# The full height stands for a change of this many threads, or of this share of them, at the least:
# what is less than worth a word (verdicts.Policy.growing_by) must not look like a mountain.
_LEAST_SPAN = 5
_LEAST_SHARE = 0.2


def sparkline(
    points: Sequence[Point],
    now_s: float,
    began_s: float,
    width: int,
    *,
    blocks: str = BLOCKS,
) -> str:
    """The sizes from `began_s` to `now_s`, one character for an equal stretch of time each.

    A stretch shows its highest size; one without threads is blank.
    """
    if width <= 0:
        return ""
    if now_s <= began_s:
        # One look has no past to show.
        return sparkline(points, began_s + 1, began_s, 1, blocks=blocks).rjust(width)
    peaks = _peaks(points, now_s, began_s, width)
    low, high = min(peaks), max(peaks)
    span = max(high - low, _LEAST_SPAN, _LEAST_SHARE * high)
    top = len(blocks) - 1
    return "".join(blocks[round(top * (peak - low) / span)] if peak else " " for peak in peaks)


def _peaks(points: Sequence[Point], now_s: float, began_s: float, width: int) -> list[int]:
    """The highest size in each stretch of time."""
    times = [point.elapsed_s for point in points]
    edges = [began_s + (now_s - began_s) * i / width for i in range(width)]
    # The size that a stretch begins with is that of the latest point until then.
    firsts = [max(bisect_right(times, edge) - 1, 0) for edge in edges]
    # A change at the very edge belongs to the stretch that follows, but for the latest look's.
    ends = [*(bisect_left(times, edge) for edge in edges[1:]), bisect_right(times, now_s)]
    return [
        max((point.size for point in points[first:end]), default=0)
        for first, end in zip(firsts, ends, strict=True)
    ]
