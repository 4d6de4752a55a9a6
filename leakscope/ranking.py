"""The leaks of many reports as one list: the same leak in many processes is one. Pure.

They rank as in LeakProf (Saioc, Shirchenko and Chabbi, "Unveiling and Vanquishing Goroutine Leaks
in Enterprise Microservices: A Dynamic Analysis Approach", CGO 2024): by the root mean square of how
many are blocked in an instance. Squares put one instance near its end before many with a little.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any, NamedTuple

from leakscope.checked import (
    BadValue,
    count,
    fields,
    finite,
    flag,
    items,
    refuse_other_version,
    shown,
    text,
    whole,
)
from leakscope.leaks import Cause, Culprit
from leakscope.model import Frame
from leakscope.policy import LEAKS

# The kinds of documents that hold what was found in a process.
REPORTS = frozenset(("dump", "summary"))
_VERDICTS = frozenset(("leaking", "growing", "clean", "unknown"))
_LEAKS = {trend.value: rank for rank, trend in enumerate(LEAKS)}  # the worst first
# As leakscope writes it. All of one length and one zone, so that their order is that of the texts.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Hit(NamedTuple):
    """A leak, as one report tells it."""

    id: str
    verdict: str
    counts: Mapping[int, int]  # leaked threads by PID
    rate_per_min: float | None
    wait: str | None
    site: Frame | None
    cause: Cause | None
    culprit: Culprit | None


class Found(NamedTuple):
    """What one report comes to."""

    where: str  # the file, and the line if it holds several
    instances: int  # the processes that it is about
    verdict: str
    began_at: str | None  # ISO 8601, UTC
    ended_at: str | None
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Worst:
    """The instance that has most threads of a leak."""

    count: int
    pid: int
    where: str


@dataclass(frozen=True, slots=True)
class Ranked:
    """One leak over all instances."""

    id: str  # of its group: the same in every process
    verdict: str
    rms: float  # of its threads, over all instances: those without it count as 0
    instances: int  # that it was found in
    total: int  # threads
    worst: Worst
    rate_per_min: float | None  # of all instances together whose rate is known
    rate_unknown: int  # instances
    first_seen: str | None  # when the first sample was taken that tells of it; ISO 8601, UTC
    last_seen: str | None
    wait: str | None  # this and what follows as the worst instance has it
    site: Frame | None
    cause: Cause | None
    culprit: Culprit | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """All leaks of all reports."""

    reports: int
    unreadable: int  # inputs
    other_lines: int  # of inputs, that are none of leakscope's
    instances: int
    instances_hit: int  # those with a leak
    verdicts: Mapping[str, int]  # reports by their verdict
    leaks: tuple[Ranked, ...]  # the highest root mean square first


# --- what a report says ---------------------------------------------------------------------------


def found_in(document: Mapping[str, Any], where: str) -> Found:
    """What a report of leakscope's says of leaks; its groups are not asked for.

    Raises BadValue or KeyError where it is no report.
    """
    refuse_other_version(document)
    return Found(
        where,
        len(items(document["targets"])),
        _one_of(document["verdict"], _VERDICTS),
        _moment(document["began_at"]),
        _moment(document["ended_at"]),
        tuple(_hit(fields(leak)) for leak in items(document["leaks"])),
    )


def _hit(leak: dict[str, Any]) -> Hit:
    counts = {_pid(pid): count(size) for pid, size in fields(leak["by_process"]).items()}
    if not counts or 0 in counts.values():
        raise BadValue("it has a leak without threads")
    rate = leak["rate_per_min"]
    wait, site = leak["wait"], leak["site"]
    cause, culprit = leak["cause"], leak["culprit"]
    return Hit(
        text(leak["id"]),
        _one_of(leak["verdict"], _LEAKS),
        counts,
        None if rate is None else finite(rate),
        None if wait is None else text(wait),
        None if site is None else _frame(fields(site)),
        None if cause is None else _cause(fields(cause)),
        None if culprit is None else _culprit(fields(culprit)),
    )


def _one_of(value: Any, known: Any) -> str:
    if text(value) not in known:
        raise BadValue(f"{shown(value)} is no verdict")
    return text(value)


def _moment(value: Any) -> str | None:
    if value is None:
        return None
    if not _MOMENT.fullmatch(text(value)):
        raise BadValue(f"{shown(value)} is no moment")
    return text(value)


def _pid(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 10):
        raise BadValue(f"{shown(value)} is not a process id")
    return int(value)


def _frame(frame: dict[str, Any]) -> Frame:
    line = frame["line"]
    return Frame(
        text(frame["function"]), text(frame["filename"]), 0 if line is None else whole(line)
    )


def _cause(cause: dict[str, Any]) -> Cause:
    return Cause(text(cause["id"]), flag(cause["certain"]), text(cause["why"]), text(cause["cure"]))


def _culprit(culprit: dict[str, Any]) -> Culprit:
    return Culprit(*(text(culprit[name]) for name in Culprit._fields))


# --- and what all of them come to -----------------------------------------------------------------


@dataclass(slots=True)
class _Sum:
    """What is known of a leak so far: as much, however many reports tell of it."""

    verdict: str
    worst: Worst
    as_worst: Hit
    squares: int = 0
    instances: int = 0
    total: int = 0
    rate_per_min: float = 0.0
    rate_unknown: int = 0
    first_seen: str | None = None
    last_seen: str | None = None


class Ranker:
    """Takes in reports one by one. What it keeps grows with distinct leaks, not with reports."""

    def __init__(self) -> None:
        self._sums: dict[str, _Sum] = {}
        self._verdicts: Counter[str] = Counter()
        self._instances = 0
        self._hit = 0

    def add(self, found: Found) -> None:
        """Take in a report."""
        self._verdicts[found.verdict] += 1
        hit = {pid for leak in found.hits for pid in leak.counts}
        # A process that ended long ago may be known by its leak only.
        self._instances += max(found.instances, len(hit))
        self._hit += len(hit)
        for leak in found.hits:
            self._add(leak, found)

    def _add(self, hit: Hit, found: Found) -> None:
        pid, most = max(hit.counts.items(), key=lambda item: item[1], default=(0, 0))
        worst = Worst(most, pid, found.where)
        known = self._sums.get(hit.id)
        if known is None:
            known = self._sums[hit.id] = _Sum(hit.verdict, worst, hit)
        elif most > known.worst.count:
            known.worst, known.as_worst = worst, hit
        known.verdict = min(known.verdict, hit.verdict, key=_LEAKS.__getitem__)
        known.squares += sum(size * size for size in hit.counts.values())
        known.instances += len(hit.counts)
        known.total += sum(hit.counts.values())
        if hit.rate_per_min is None:
            known.rate_unknown += len(hit.counts)
        else:
            known.rate_per_min += hit.rate_per_min
        known.first_seen = min(filter(None, (known.first_seen, found.began_at)), default=None)
        known.last_seen = max(filter(None, (known.last_seen, found.ended_at)), default=None)

    def ranking(self, unreadable: int = 0, other_lines: int = 0) -> Ranking:
        """All that came in, and how much did not."""
        leaks = (_ranked(id_, known, self._instances) for id_, known in self._sums.items())
        return Ranking(
            self._verdicts.total(),
            unreadable,
            other_lines,
            self._instances,
            self._hit,
            dict(self._verdicts),
            tuple(sorted(leaks, key=lambda leak: (-leak.rms, -leak.total, leak.id))),
        )


def _ranked(id_: str, known: _Sum, instances: int) -> Ranked:
    worst = known.as_worst
    return Ranked(
        id_,
        known.verdict,
        sqrt(known.squares / instances) if instances else 0.0,
        known.instances,
        known.total,
        known.worst,
        None if known.rate_unknown == known.instances else known.rate_per_min,
        known.rate_unknown,
        known.first_seen,
        known.last_seen,
        worst.wait,
        worst.site,
        worst.cause,
        worst.culprit,
    )
