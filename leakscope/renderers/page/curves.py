"""How many threads there were when: of each group and of each leak. Pure.

What a watch saw is known exactly. Of the time before, only those threads are known that live still,
by when they were born; so there each curve is the least that there was.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from leakscope.facts import Stay
from leakscope.leaks import Leak
from leakscope.policy import LEAKS, Trend
from leakscope.renderers.page.timescale import TimeScale
from leakscope.renderers.wording import by_suspicion
from leakscope.report import Group, Report
from leakscope.stacks import real_frames

# Bands of the stacked chart: as many as can be told apart by colour.
MOST_OF_LEAKS = 3
GROWING, MORE_OF_LEAKS = MOST_OF_LEAKS, MOST_OF_LEAKS + 1  # slots
MOST_OTHERS = 4


class Curve(NamedTuple):
    """A count over time: before the watch from births, in the watch from what was seen."""

    births_s: Sequence[float]  # of what lives still, the oldest first
    times_s: Sequence[float]  # when the count changed in the watch
    sizes: Sequence[int]

    def at(self, moment_s: float, watch_s: float) -> int:
        """The count at a moment; the watch began at `watch_s`."""
        if moment_s < watch_s:
            return bisect_right(self.births_s, moment_s)
        index = bisect_right(self.times_s, moment_s) - 1
        return self.sizes[index] if index >= 0 else 0

    def before(self, watch_s: float) -> int:
        """How many of those that live were there when the watch began."""
        return bisect_right(self.births_s, watch_s)


class Band(NamedTuple):
    """One band of the stacked chart."""

    slot: int  # which colour it has; the page has its style
    groups: tuple[Group, ...]  # one, or those that share the band
    curve: Curve | None  # None: whatever else there is

    @property
    def is_unread(self) -> bool:
        """Whether it is of threads whose stacks were still to be read."""
        return bool(self.groups) and not any(real_frames(group.frames) for group in self.groups)


def watch_began_s(report: Report) -> float:
    """When the first look was, on the clock of the watch."""
    return report.now_s - report.observed_s


def scale_of(report: Report) -> TimeScale:
    """From the birth of the oldest thread to the last look."""
    births = [s.born_s for group in report.groups for s in group.stays if s.born_s is not None]
    watch_s = watch_began_s(report)
    return TimeScale(min([watch_s, *births]), watch_s, report.now_s)


def curve_of(groups: Sequence[Group]) -> Curve:
    """The threads of some groups together."""
    births = sorted(s.born_s for group in groups for s in group.stays if s.born_s is not None)
    if len(groups) == 1:
        points = groups[0].points
        return Curve(births, [p.elapsed_s for p in points], [p.size for p in points])
    changes = sorted(
        (later.elapsed_s, later.size - earlier)
        for group in groups
        for earlier, later in zip((0, *(p.size for p in group.points)), group.points, strict=False)
    )
    return _summed(births, changes)


def leak_curve(leak: Leak, report: Report) -> Curve:
    """The threads that leaked, up to those that there are now.

    Timers that re-arm themselves end all the time, and only their number grows: there it is all
    threads of its groups.
    """
    groups = [group for group in report.groups if group.id in leak.groups]
    if groups and sum(group.ended for group in groups) >= len(leak.leaked):
        return curve_of(groups)
    leaked = set(leak.leaked)
    # A dict, because a thread is in a group of each level that is reported.
    stays = {s.key: s for group in report.groups for s in group.stays if s.key in leaked}
    return _of_living(list(stays.values()), watch_began_s(report))


def _of_living(stays: Sequence[Stay], watch_s: float) -> Curve:
    births = sorted(stay.born_s for stay in stays if stay.born_s is not None)
    changes = sorted((max(stay.began_s, watch_s), 1) for stay in stays)
    return _summed(births, changes)


def _summed(births: Sequence[float], changes: Sequence[tuple[float, int]]) -> Curve:
    times: list[float] = []
    sizes: list[int] = []
    size = 0
    for at, by in changes:
        size += by
        if times and times[-1] == at:
            sizes[-1] = size
        else:
            times.append(at)
            sizes.append(size)
    return Curve(births, times, sizes)


def total_curve(report: Report) -> Curve:
    """All Python threads."""
    births = sorted(
        s.born_s
        for group in report.groups
        if group.level is report.level
        for s in group.stays
        if s.born_s is not None
    )
    points = report.total_points
    return Curve(births, [p.elapsed_s for p in points], [p.size for p in points])


def bands_of(report: Report) -> list[Band]:
    """The bands of the stacked chart from the top: leaks, what grows, big ones, the rest, unread.

    What was not read yet is a band even where all of it has been read since.
    """
    shown = [group for group in by_suspicion(report) if group.level is report.level]
    named = {id_ for leak in report.leaks for id_ in leak.groups}
    leaking = [g for g in shown if g.id in named or g.verdict.trend in LEAKS]
    others = [g for g in shown if g not in leaking]
    growing = [g for g in others if g.verdict.trend is Trend.GROWING][:1]
    unread = [g for g in report.groups if g.level is report.level and not real_frames(g.frames)]
    unread = [g for g in unread if g not in leaking and g not in growing]
    others = [g for g in others if g not in growing and g not in unread]
    bands = [Band(i, (g,), curve_of([g])) for i, g in enumerate(leaking[:MOST_OF_LEAKS])]
    more = leaking[MOST_OF_LEAKS:]
    if more:
        bands.append(Band(MORE_OF_LEAKS, tuple(more), curve_of(more)))
    bands += [Band(GROWING, (g,), curve_of([g])) for g in growing]
    first = MORE_OF_LEAKS + 1
    bands += [Band(first + i, (g,), curve_of([g])) for i, g in enumerate(others[:MOST_OTHERS])]
    rest = first + MOST_OTHERS
    bands.append(Band(rest, tuple(others[MOST_OTHERS:]), None))
    return [*bands, Band(rest + 1, tuple(unread), curve_of(unread))] if unread else bands


def band_sizes(bands: Sequence[Band], total: Curve, at_s: float, watch_s: float) -> list[int]:
    """How many threads each band has at a moment; the rest is what is left of the total."""
    sizes = [None if band.curve is None else band.curve.at(at_s, watch_s) for band in bands]
    rest = max(total.at(at_s, watch_s) - sum(size for size in sizes if size), 0)
    return [rest if size is None else size for size in sizes]
