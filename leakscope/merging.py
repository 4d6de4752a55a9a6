"""One report of several processes, out of a report of each. Pure: values in, a value out.

Each process is judged by itself, so nothing that happens between them can look like a leak: a
reload, which runs twice the workers for a while, doubles sums and changes no verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import NamedTuple

from leakscope.facts import Point, common_wait
from leakscope.history import MAX_POINTS, thinned
from leakscope.leaks import Leak
from leakscope.limits import Deadline, ThreadCost, nearest_limit
from leakscope.policy import LEAKS, Trend, Verdict
from leakscope.report import Group, Kind, Overall, Report
from leakscope.stacks import entry, real_frames, site

# PIDs that a sentence names; the rest are counted.
_MOST_PIDS = 5
_TRENDS = tuple(Trend)  # the worst first


class Past(NamedTuple):
    """A leak that was certain in processes which have ended since."""

    leak: Leak  # of the process that had most of it
    pids: tuple[int, ...]  # of the first of them
    number: int  # of all of them

    def joined(self, other: Past) -> Past:
        """Both together."""
        worse = max(self.leak, other.leak, key=lambda leak: len(leak.leaked))
        pids = tuple(dict.fromkeys((*self.pids, *other.pids)))[:_MOST_PIDS]
        return Past(worse, pids, self.number + other.number)


# --- what becomes of one report before it is added to others --------------------------------------


def as_joined(report: Report) -> Report:
    """As one of a process that came later: at the first look of all there was nothing of it."""
    return replace(
        report,
        groups=tuple(
            replace(
                group,
                first=0,
                arrived=group.arrived + group.first,
                born=group.born + group.first,
            )
            for group in report.groups
        ),
    )


def as_ended(report: Report, ended_s: float) -> Report:
    """As one of a process that is no more: what it had been stays, what it holds is nothing."""
    nothing = Point(ended_s, 0)
    return replace(
        report,
        threads=0,
        os_threads=0,
        not_seen=(),
        leaks=(),
        deadline=None,
        native_grown=0,
        groups=tuple(_emptied(group, nothing) for group in report.groups),
        total_points=(*report.total_points, nothing) if report.total_points else (),
        now_s=max(report.now_s, ended_s),
        observed_s=report.observed_s + max(ended_s - report.now_s, 0.0),
    )


def _emptied(group: Group, nothing: Point) -> Group:
    trend = group.verdict.trend
    kept = replace(group.verdict, leaked=(), moments=())
    return replace(
        group,
        # A leak stays told, and by its group too; any other verdict is of threads that are gone.
        verdict=kept if trend in LEAKS else Verdict(Trend.CHURNING),
        wait=None if group.stays else group.wait,
        blocked=0,
        running=0,
        unknown=0,
        departed=group.departed + group.size,
        ended=group.ended + group.size,
        points=(*group.points, nothing) if group.size else group.points,
        stays=(),
    )


def past_leaks(report: Report, pid: int) -> dict[str, Past]:
    """The leaks of a process that has ended, by id."""
    return {leak.id: Past(leak, (pid,), 1) for leak in report.leaks}


# --- several reports as one -----------------------------------------------------------------------


def merged(living: Sequence[Report], ended: Report | None, past: Mapping[str, Past]) -> Report:
    """What these reports, each of one process and at least one in all, come to together.

    `ended` holds what all processes that have ended had been. The fields of the watch as a whole
    (kind, targets, interval, why it ended) are those of the first.
    """
    every = [*living, *([ended] if ended else [])]
    now_s = max(report.now_s for report in every)
    began_s = min(report.now_s - report.observed_s for report in every)
    apart_s = (every[0].interval_s or 0.0) / 2
    leaks = _leaks(living, past)
    threads = [report.threads for report in living if report.threads is not None]
    os_threads = [report.os_threads for report in living if report.os_threads is not None]
    verdict = Overall.LEAKING if leaks else worst(report.verdict for report in living or every)
    return replace(
        every[0],
        began_at=min(report.began_at for report in every),
        ended_at=max(report.ended_at for report in every),
        observed_s=now_s - began_s,
        samples=sum(report.samples for report in every),
        missed=sum(report.missed for report in every),
        tries=sum(report.tries for report in every),
        threads=sum(threads) if threads or not living else None,
        os_threads=sum(os_threads) if os_threads or not living else None,
        verdict=verdict,
        noticeable_per_min=_noticeable_per_min(living or every),
        not_seen=_not_seen(living, verdict),
        leaks=leaks,
        groups=_groups(every, apart_s),
        total_points=summed((report.total_points for report in every), apart_s),
        now_s=now_s,
        deadline=_deadline(living),
        thread_cost=_thread_cost(living),
        nearest_limit=nearest_limit(r.nearest_limit for r in living if r.nearest_limit),
        native_grown=sum(report.native_grown for report in living),
        all_left_out=all(report.all_left_out for report in living or every),
    )


def worst(verdicts: Iterable[Overall]) -> Overall:
    """The verdict of all; it is known as soon as one is, for processes that are new come always."""
    found = set(verdicts)
    for verdict in (Overall.LEAKING, Overall.GROWING, Overall.CLEAN):
        if verdict in found:
            return verdict
    return Overall.UNKNOWN


def worst_trend(trends: Iterable[Trend]) -> Trend:
    """The verdict of a group, from those that it has in each process."""
    return min(trends, key=_TRENDS.index)


def summed(series: Iterable[Sequence[Point]], apart_s: float) -> tuple[Point, ...]:
    """Sizes over time, added up; each holds until its next one, so that a gap takes nothing away.

    Processes are looked at one after the other: points less than `apart_s` apart are of one round.
    """
    steps = sorted(
        (point.elapsed_s, number, point.size)
        for number, points in enumerate(series)
        for point in points
    )
    latest: dict[int, int] = {}
    total = 0
    found: list[Point] = []
    for at_s, number, size in steps:
        total += size - latest.get(number, 0)
        latest[number] = size
        if found and at_s - found[-1].elapsed_s < apart_s:
            found[-1] = Point(found[-1].elapsed_s, total)
        elif not found or found[-1].size != total:
            found.append(Point(at_s, total))
    while len(found) > MAX_POINTS:
        found = thinned(found)
    return tuple(found)


def _noticeable_per_min(reports: Sequence[Report]) -> float | None:
    known = [report.noticeable_per_min for report in reports]
    return max((slowest for slowest in known if slowest is not None), default=None)


def _deadline(living: Sequence[Report]) -> Deadline | None:
    deadlines = [report.deadline for report in living if report.deadline]
    return min(deadlines, key=lambda deadline: deadline.seconds, default=None)


def _thread_cost(living: Sequence[Report]) -> ThreadCost:
    """Of the process that grew most: there what a thread took drowns least in what else was."""
    costs = [(sum(len(leak.leaked) for leak in r.leaks), r.thread_cost) for r in living]
    known = [(grown, cost) for grown, cost in costs if cost and cost != ThreadCost()]
    return max(known, key=lambda one: one[0])[1] if known else ThreadCost()


# --- groups ---------------------------------------------------------------------------------------


def _groups(reports: Sequence[Report], apart_s: float) -> tuple[Group, ...]:
    by_id: dict[str, list[Group]] = {}
    for report in reports:
        for group in report.groups:
            by_id.setdefault(group.id, []).append(group)
    level = reports[0].level
    groups = [together(same, apart_s) for same in by_id.values()]
    return tuple(sorted(groups, key=lambda g: (g.level is not level, -g.size, -g.peak, g.id)))


def together(same: Sequence[Group], apart_s: float) -> Group:
    """A group out of those with its id, one of each process."""
    if len(same) == 1:
        return same[0]
    biggest = max(same, key=lambda group: (group.size, group.peak))
    points = summed((group.points for group in same), apart_s)
    stays = sorted(
        (stay for group in same for stay in group.stays),
        key=lambda stay: (stay.began_s, stay.key.tid or 0, stay.key.handle or 0),
    )
    frames = biggest.frames
    return replace(
        biggest,
        verdict=_verdict(same),
        site=site(frames),
        entry=entry(frames) if real_frames(frames) else None,
        wait=common_wait(stays) or biggest.wait,
        blocked=_sum(same, lambda group: group.blocked),
        running=_sum(same, lambda group: group.running),
        unknown=_sum(same, lambda group: group.unknown),
        first=_sum(same, lambda group: group.first),
        peak=max([point.size for point in points] + [group.peak for group in same]),
        arrived=_sum(same, lambda group: group.arrived),
        departed=_sum(same, lambda group: group.departed),
        born=_sum(same, lambda group: group.born),
        ended=_sum(same, lambda group: group.ended),
        points=points,
        stays=tuple(stays),
    )


def _sum(groups: Iterable[Group], of: Callable[[Group], int]) -> int:
    return sum(map(of, groups))


def _verdict(same: Sequence[Group]) -> Verdict:
    """The worst one; of groups that are empty, only what was certain counts."""
    counting = [group for group in same if group.size or group.verdict.trend in LEAKS]
    verdicts = [group.verdict for group in counting or same]
    trend = worst_trend(verdict.trend for verdict in verdicts)
    alike = [verdict for verdict in verdicts if verdict.trend is trend]
    main = max(alike, key=lambda verdict: (len(verdict.leaked), verdict.rate_per_min or 0.0))
    if len(alike) == 1 or trend not in LEAKS:
        return main
    leaking = [verdict for verdict in alike if verdict.leaked] or [main]
    return replace(
        main,
        leaked=tuple(key for verdict in leaking for key in verdict.leaked),
        moments=tuple(sorted(at_s for verdict in leaking for at_s in verdict.moments)),
        rate_per_min=sum(verdict.rate_per_min or 0.0 for verdict in leaking),
    )


# --- leaks ----------------------------------------------------------------------------------------


def _leaks(living: Sequence[Report], past: Mapping[str, Past]) -> tuple[Leak, ...]:
    by_id: dict[str, list[Leak]] = {}
    for report in living:
        for leak in report.leaks:
            by_id.setdefault(leak.id, []).append(leak)
    number = len(living) + sum(one.number for one in past.values() if one.leak.id not in by_id)
    found = [_leak(same, number, past.get(id_)) for id_, same in by_id.items()]
    found += [_past_leak(one) for id_, one in past.items() if id_ not in by_id]
    return tuple(sorted(found, key=lambda leak: (-len(leak.leaked), leak.id)))


def _leak(same: Sequence[Leak], number: int, past: Past | None) -> Leak:
    """A leak out of those with its id, one of each process that has it."""
    main, *others = sorted(same, key=lambda leak: -len(leak.leaked))
    counts = Counter(key.pid for leak in (main, *others) for key in leak.leaked)
    where = (_in_processes(counts, number),) if number > 1 else ()
    ended = (f"It also leaked in {_ended(past)}.",) if past else ()
    return replace(
        main,
        trend=worst_trend(leak.trend for leak in same),
        groups=tuple(dict.fromkeys(id_ for leak in (main, *others) for id_ in leak.groups)),
        leaked=tuple(key for leak in (main, *others) for key in leak.leaked),
        rate_per_min=sum(leak.rate_per_min for leak in same),
        evidence=(*main.evidence, *where, *ended),
        cause=next((leak.cause for leak in (main, *others) if leak.cause), None),
        culprit=next((leak.culprit for leak in (main, *others) if leak.culprit), None),
    )


def _past_leak(past: Past) -> Leak:
    sentence = f"It was in {_ended(past)}, and its threads with it."
    return replace(past.leak, evidence=(*past.leak.evidence, sentence))


def _in_processes(counts: Counter[int], number: int) -> str:
    named = ", ".join(f"{pid} ({count})" for pid, count in counts.most_common(_MOST_PIDS))
    return f"It leaks in {len(counts)} of {number} processes: {named}{_more(len(counts))}."


def _ended(past: Past) -> str:
    named = f"{', '.join(map(str, past.pids))}{_more(past.number)}"
    if past.number == 1:
        return f"process {named}, which has ended"
    return f"processes {named}, which have ended"


def _more(number: int) -> str:
    return f" and {number - _MOST_PIDS} more" if number > _MOST_PIDS else ""


# --- what was not seen ----------------------------------------------------------------------------


def _not_seen(living: Sequence[Report], verdict: Overall) -> tuple[str, ...]:
    """Each line once, with the processes that it is about where it is not about all of them."""
    about: dict[str, list[int]] = {}
    for report in living:
        for line in report.not_seen:
            about.setdefault(line, []).append(report.targets[0].pid)
    said = [
        line if len(pids) == len(living) == 1 else f"{_of(pids, len(living))}: {line}"
        for line, pids in about.items()
    ]
    watched = [report for report in living if report.kind is Kind.SUMMARY]
    if verdict is not Overall.UNKNOWN:
        unknown = [report for report in watched if report.verdict is Overall.UNKNOWN]
        out = [report.targets[0].pid for report in unknown if report.all_left_out]
        new = [report.targets[0].pid for report in unknown if not report.all_left_out]
        if out:
            said.append(f"{_of(out, inf)}: not judged, since every group was left out")
        if new:
            said.append(f"{_of(new, inf)}: not watched for long enough to say")
    return tuple(said)


def _of(pids: Sequence[int], all_: float) -> str:
    if len(pids) == all_:
        return f"each of {len(pids)} processes"
    named = ", ".join(map(str, pids[:_MOST_PIDS])) + _more(len(pids))
    return f"process {named}" if len(pids) == 1 else f"processes {named}"
