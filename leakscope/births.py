"""What the start times of living threads say: a group's growth from before anyone looked.

Births are strong evidence and no proof. Ages spread evenly back to the start of the process:
nothing ever left. All born in one burst: a pool. Ages thinning out: healthy turnover, since the
dead leave no trace. A server with a long-lived thread for each connection looks the same as a leak.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

from leakscope.averages import deviation, mean, median

# Threads of one object are started within this time of each other.
TOGETHER_S = 0.5


def moments_of(births: Sequence[float]) -> list[float]:
    """The distinct moments of births: threads that come within half a second come together."""
    moments: list[float] = []
    for at in sorted(births):
        if not moments or at - moments[-1] > TOGETHER_S:
            moments.append(at)
    return moments


def is_burst(births: Sequence[float], now_s: float, share: float = 0.5) -> bool:
    """Whether more than a share of all came within a tenth of the time since the first."""
    window_s = max((now_s - min(births)) / 10, TOGETHER_S)
    ordered = sorted(births)
    most = max(bisect_right(ordered, at + window_s) - i for i, at in enumerate(ordered))
    return most > share * len(ordered)


def without_bursts(births: Sequence[float]) -> list[float]:
    """The births that came singly, or as few at once as is usual here.

    A pool that was started at once beside a leak in the same stack is not of the leak. Usual is
    what the middle birth has around it.
    """
    ordered = sorted(births)
    around = [
        bisect_right(ordered, at + TOGETHER_S / 2) - bisect_left(ordered, at - TOGETHER_S / 2)
        for at in moments_of(ordered)
    ]
    usual = median(around) if around else 0
    return [
        at
        for at in ordered
        if bisect_right(ordered, at + TOGETHER_S / 2) - bisect_left(ordered, at - TOGETHER_S / 2)
        <= 3 * max(usual, 1)
    ]


def is_even(births: Sequence[float], end_s: float) -> bool:
    """Whether births are spread over the whole time from the first to `end_s`.

    Each third holds at least half of its fair share. Where threads come and go, the oldest third of
    the time has kept next to none.
    """
    first_s = min(births)
    third_s = (end_s - first_s) / 3
    if third_s <= 0:
        return False
    counts = [0, 0, 0]
    for at in births:
        counts[min(int((at - first_s) / third_s), 2)] += 1
    return min(counts) >= len(births) / 6


def longest_likely_gap_s(moments: Sequence[float]) -> float:
    """The longest pause after which growth may still be going on.

    Three standard deviations above the mean gap, but at least two and a half gaps (few gaps tell
    little about their spread) and at most four (what comes at random pauses longer once in 50).
    """
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    if not gaps:
        return 0.0
    mean_s = mean(gaps)
    return min(max(mean_s + 3 * deviation(gaps), 2.5 * mean_s), 4 * mean_s)


def rate_per_min(births: Sequence[float]) -> float:
    """Births a minute, from the first to the last: (n - 1) / (last - first)."""
    span_s = max(births) - min(births)
    return 60 * (len(births) - 1) / span_s if span_s > 0 else 0.0
