"""What a saved report knew already: leaks and growth that are no news, unless they are faster now.

Pure: JSON values and a report in, a report out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from math import hypot
from typing import Any, NamedTuple

from leakscope.checked import (
    BadValue,
    count,
    fields,
    finite,
    items,
    last_report,
    refuse_other_version,
    text,
)
from leakscope.leaks import Leak
from leakscope.levels import Level
from leakscope.limits import relative_error
from leakscope.policy import Trend
from leakscope.report import Group, Known, Member, Overall, Report
from leakscope.spans import moment
from leakscope.unseen import NATIVE_GROWTH


class Rate(NamedTuple):
    """How fast something grows, and from how many arrivals that was counted."""

    per_min: float
    arrivals: int

    @property
    def error_per_min(self) -> float:
        """How far off it may be (95 %)."""
        return self.per_min * relative_error(self.arrivals)


class Entry(NamedTuple):
    """A leak, or a group that grows, as a saved report had it."""

    ids: frozenset[str]  # its own, and those of its groups
    rate: Rate | None  # None where the report does not tell
    since_at: float | None  # Unix seconds: of the first report in a row of baselines that had it


class Baseline(NamedTuple):
    """All that a saved report had of that kind."""

    name: str  # of the file
    level: Level
    entries: tuple[Entry, ...]

    def entry(self, ids: Iterable[str]) -> Entry | None:
        """What was known under one of these ids."""
        wanted = frozenset(ids)
        return next((entry for entry in self.entries if entry.ids & wanted), None)


def is_faster(now: Rate, then: Rate | None) -> bool:
    """Whether something grows faster, by more than chance makes of the counts behind both rates.

    Each rate may be off by its error, and errors of counts that have nothing to do with each other
    add up as their squares do: hence two rates that are one and the same differ by more than the
    root of that sum in fewer than 1 of 20 cases.

    Where the old rate is not known, as in a baseline made of one look, nothing says that it grew at
    all: then whatever grows now is faster, or such a baseline would hide a leak of any rate. What
    does not grow stays known.
    """
    if not now.arrivals:
        return False
    if then is None or not then.arrivals:
        return now.per_min > 0
    return now.per_min - then.per_min > hypot(now.error_per_min, then.error_per_min)


# --- from a saved report --------------------------------------------------------------------------


def baseline_of(documents: Iterable[Any], name: str) -> Baseline:
    """What the last report among these documents had.

    Raises BadValue, or KeyError, where there is none of leakscope's.
    """
    report = last_report(documents)
    refuse_other_version(report)
    level, at = text(report["level"]), _at(report["ended_at"])
    if level not in list(Level):
        raise BadValue(f"{level!r} is no level of groups")
    return Baseline(name, Level(level), tuple(_entries(report, level, at)))


def _entries(report: dict[str, Any], level: str, at: float | None) -> Iterable[Entry]:
    # What that report knew from an earlier one comes first, with the date and the rate of then: if
    # each report in a row made its own rate the new one, a little more each time would never show.
    for known in map(fields, items(report.get("known", []))):
        yield Entry(_ids(known), _rate_then(known), _at(known["since"]))
    for leak in map(fields, items(report["leaks"])):
        yield Entry(_ids(leak), _rate(leak["rate_per_min"], count(leak["count"])), at)
    for group in map(fields, items(report["groups"])):
        if group["verdict"] == Trend.GROWING.value and group["level"] == level:
            grown = count(group["count"]) - count(group["first"])
            rate = _rate(group["rate_per_min"], grown)
            yield Entry(frozenset((text(group["id"]),)), rate, at)


def _ids(said: dict[str, Any]) -> frozenset[str]:
    return frozenset((text(said["id"]), *map(text, items(said["groups"]))))


def _rate_then(known: dict[str, Any]) -> Rate | None:
    if "arrivals_then" not in known:  # by a leakscope that kept no more than the rate of its own
        return _rate(known["rate_per_min"], count(known["arrivals"]))
    arrivals = known["arrivals_then"]
    return None if arrivals is None else _rate(known["rate_then_per_min"], count(arrivals))


def _rate(per_min: Any, arrivals: int) -> Rate | None:
    return None if per_min is None or arrivals <= 0 else Rate(finite(per_min), arrivals)


def _at(value: Any) -> float | None:
    if value is None:
        return None
    try:
        return datetime.fromisoformat(text(value)).timestamp()
    except (ValueError, OverflowError, OSError):
        raise BadValue(f"{value!r} is no moment") from None


# --- a report against it --------------------------------------------------------------------------


def against(report: Report, baseline: Baseline) -> Report:
    """The report with what is known apart from its leaks, and a verdict that leaves it out."""
    known: list[Known] = []
    leaks: list[Leak] = []
    for leak in report.leaks:
        rate = Rate(leak.rate_per_min, len(leak.leaked))
        entry = baseline.entry((leak.id, *leak.groups))
        if entry is None:
            leaks.append(leak)
        elif is_faster(rate, entry.rate):
            evidence = (*leak.evidence, _sentence(entry, rate, baseline.name))
            leaks.append(replace(leak, evidence=evidence))
        else:
            known.append(_known_leak(leak, rate, entry, baseline.name))
    groups: list[Group] = []
    for group in report.groups:
        groups.append(group)
        entry = baseline.entry((group.id,))
        if entry is None or group.verdict.trend is not Trend.GROWING:
            continue
        rate = _growth(group, report.observed_s)
        sentence = _sentence(entry, rate, baseline.name)
        if is_faster(rate, entry.rate):
            evidence = (*group.verdict.evidence, sentence)
            groups[-1] = replace(group, verdict=replace(group.verdict, evidence=evidence))
        else:
            known.append(_known_group(group, rate, entry, sentence))
    apart = replace(report, leaks=tuple(leaks), groups=tuple(groups), known=tuple(known))
    return _judged(apart) if known else apart


def _growth(group: Group, observed_s: float) -> Rate:
    grown = group.size - group.first
    return Rate(60 * grown / observed_s if observed_s > 0 else 0.0, max(grown, 0))


def _known_leak(leak: Leak, rate: Rate, entry: Entry, name: str) -> Known:
    return Known(
        id=leak.id,
        groups=leak.groups,
        trend=leak.trend,
        size=len(leak.leaked),
        rate_per_min=rate.per_min,
        arrivals=rate.arrivals,
        rate_then_per_min=entry.rate.per_min if entry.rate else None,
        arrivals_then=entry.rate.arrivals if entry.rate else None,
        since_at=entry.since_at,
        wait=leak.wait,
        site=leak.site,
        why=_sentence(entry, rate, name),
        evidence=leak.evidence,
        cause=leak.cause,
        culprit=leak.culprit,
    )


def _known_group(group: Group, rate: Rate, entry: Entry, sentence: str) -> Known:
    return Known(
        id=group.id,
        groups=(group.id,),
        trend=group.verdict.trend,
        size=group.size,
        rate_per_min=rate.per_min,
        arrivals=rate.arrivals,
        rate_then_per_min=entry.rate.per_min if entry.rate else None,
        arrivals_then=entry.rate.arrivals if entry.rate else None,
        since_at=entry.since_at,
        wait=group.wait,
        site=group.site,
        why=sentence,
    )


def _sentence(entry: Entry, now: Rate, name: str) -> str:
    since = "" if entry.since_at is None else f" since {moment(entry.since_at)}"
    known = f"Known{since}, by {name}"
    if entry.rate is None:
        unknown = f"{known}, which does not tell how fast it grew"
        if is_faster(now, None):
            return f"{unknown}: nothing says that {now.per_min:.1f} threads a minute are no news."
        return f"{unknown}; it does not grow now."
    rates = f"{entry.rate.per_min:.1f} threads a minute then, {now.per_min:.1f} now"
    if is_faster(now, entry.rate):
        return f"{known}, and faster than that: {rates}, more than the uncertainty of both."
    return f"{known}, and no faster than that, as far as can be told: {rates}."


def _judged(report: Report) -> Report:
    """The verdicts without what is known."""
    growing = [
        group
        for group in report.groups
        if group.verdict.trend is Trend.GROWING and not report.knows(group.id)
    ]
    verdict = Overall.CLEAN if report.noticeable_per_min is not None else Overall.UNKNOWN
    if report.leaks:
        verdict = Overall.LEAKING
    elif growing or report.native_grown >= NATIVE_GROWTH:
        verdict = Overall.GROWING
    return replace(
        report,
        verdict=verdict,
        several=tuple(_member(member, report.leaks, growing) for member in report.several),
    )


def _member(member: Member, leaks: Sequence[Leak], growing: Sequence[Group]) -> Member:
    pid, verdict = member.target.pid, member.verdict
    if verdict in (Overall.LEAKING, Overall.GROWING):
        verdict = Overall.CLEAN
        if any(pid in group.by_process for group in growing):
            verdict = Overall.GROWING
        if any(pid in leak.by_process for leak in leaks):
            verdict = Overall.LEAKING
    return member._replace(verdict=verdict)
