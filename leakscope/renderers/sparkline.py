"""A count over time, drawn in one line of text."""

from __future__ import annotations

from bisect import bisect_right
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
    peaks = _peaks(points, now_s, began_s, width)
    low, high = min(peaks), max(peaks)
    span = max(high - low, _LEAST_SPAN, _LEAST_SHARE * high)
    top = len(blocks) - 1
    return "".join(blocks[round(top * (peak - low) / span)] if peak else " " for peak in peaks)


def _peaks(points: Sequence[Point], now_s: float, began_s: float, width: int) -> list[int]:
    """The highest size in each stretch of time. One look has no past: only its own stretch."""
    if now_s <= began_s:
        return [0] * (width - 1) + [points[-1].size if points else 0]
    times = [point.elapsed_s for point in points]
    peaks: list[int] = []
    for i in range(width):
        since_s = began_s + (now_s - began_s) * i / width
        until_s = now_s if i == width - 1 else began_s + (now_s - began_s) * (i + 1) / width
        # The size that the stretch began with still holds at its beginning, unless it changed then.
        first = max(bisect_right(times, since_s) - 1, 0)
        last = bisect_right(times, until_s)
        peaks.append(max((point.size for point in points[first:last]), default=0))
    return peaks
