"""The time axis of a chart: what lies before the watch, and the watch. Pure.

A process may be up for days and be watched for a minute. On one scale the minute would be a hair,
so the time before the watch is squeezed where it is much the longer one; the chart says so.
"""

from __future__ import annotations

from typing import NamedTuple

# Where the past would take more of the width than the first of these, it gets the second, so that
# what was seen can be seen.
TRUE_TO_SCALE = 0.8
MOST_PAST = 0.5
# Label steps that people count in, in seconds; beyond a day in days.
_STEPS_S = (
    1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200,
)  # fmt: skip
_DAY_S = 86400
_LABELS = 8  # over the whole width; more would touch each other on a phone


class Tick(NamedTuple):
    """A label of an axis."""

    x: float  # share of the width
    label: str


class TimeScale(NamedTuple):
    """From seconds on the clock of the watch to shares of the width, 0 to 1."""

    begin_s: float
    watch_s: float  # when the watch began; never before `begin_s`
    end_s: float
    most_past: float = MOST_PAST

    @property
    def past_share(self) -> float:
        """How much of the width is for the time before the watch."""
        whole = self.end_s - self.begin_s
        if whole <= 0:
            return 0.0
        natural = (self.watch_s - self.begin_s) / whole
        is_long = natural > max(TRUE_TO_SCALE, self.most_past)
        return self.most_past if is_long and self.end_s > self.watch_s else natural

    @property
    def squeeze(self) -> float:
        """How many times faster time runs before the watch than in it; 1 where it does not."""
        past, seen = self.watch_s - self.begin_s, self.end_s - self.watch_s
        share = self.past_share
        if not (0 < share < 1 and past > 0 and seen > 0):
            return 1.0
        return (past / share) / (seen / (1 - share))

    def x(self, at_s: float) -> float:
        """Where a moment lies, as a share of the width."""
        share = self.past_share
        if at_s < self.watch_s:
            past_s = self.watch_s - self.begin_s
            return share * (at_s - self.begin_s) / past_s if past_s > 0 else 0.0
        seen_s = self.end_s - self.watch_s
        return share + (1 - share) * (at_s - self.watch_s) / seen_s if seen_s > 0 else share

    def moments(self, number: int) -> tuple[list[float], list[float]]:
        """About so many moments: those before the watch, and those in it, ends included."""
        past = round(number * self.past_share)
        before = _even(self.begin_s, self.watch_s, past) if self.begin_s < self.watch_s else []
        seen = _even(self.watch_s, self.end_s, number - past) if self.end_s > self.watch_s else []
        return before, seen

    def ticks(self) -> list[Tick]:
        """Labels, told from the start of the watch on."""
        share = self.past_share
        past_s, seen_s = self.watch_s - self.begin_s, self.end_s - self.watch_s
        ticks = [Tick(share, "start")]
        step_s = step(past_s, max(round(_LABELS * share), 1)) if share else 0.0
        ticks += [
            Tick(self.x(self.watch_s - at), f"-{span(at)}") for at in _multiples(step_s, past_s)
        ]
        step_s = step(seen_s, max(round(_LABELS * (1 - share)), 1)) if share < 1 else 0.0
        ticks += [Tick(self.x(self.watch_s + at), span(at)) for at in _multiples(step_s, seen_s)]
        return sorted(ticks)


def ahead_ticks(until_s: float) -> list[Tick]:
    """Labels for the time from now on."""
    step_s = step(until_s, _LABELS - 2)
    return [
        Tick(0.0, "now"),
        *(Tick(at / until_s, f"+{span(at)}") for at in _multiples(step_s, until_s)),
    ]


def step(whole: float, most: int) -> float:
    """The smallest step of those that people count time in, that makes no more labels."""
    for step_s in _STEPS_S:
        if whole / step_s <= most:
            return float(step_s)
    return _DAY_S * count_step(whole / _DAY_S, most)


def count_step(whole: float, most: int) -> int:
    """The smallest of 1, 2, 5, 10, 20... that makes no more labels."""
    scale = 1
    while True:
        for leading in (1, 2, 5):
            if whole / (leading * scale) <= most:
                return leading * scale
        scale *= 10


def span(seconds: float) -> str:
    """A round span of time for a label: `30 s`, `5 min`, `1.5 h`, `2 d`."""
    for unit_s, unit in ((_DAY_S, "d"), (3600, "h"), (60, "min")):
        # `80 min` reads better than `1.33333 h`, and `1.5 h` better than `90 min`.
        if seconds >= unit_s and 2 * seconds % unit_s == 0:
            return f"{seconds / unit_s:g} {unit}"
    return f"{seconds:g} s"


def _multiples(step_s: float, until_s: float) -> list[float]:
    if step_s <= 0:
        return []
    # The last may be missed by a rounding error.
    return [step_s * i for i in range(1, int(until_s / step_s + 1e-6) + 1)]


def _even(begin: float, end: float, number: int) -> list[float]:
    number = max(number, 2)
    return [begin + (end - begin) * i / (number - 1) for i in range(number)]
