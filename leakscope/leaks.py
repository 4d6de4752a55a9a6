"""From verdicts to leaks: what leaks together is one leak, and a thread is in one only."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from leakscope.averages import median
from leakscope.births import TOGETHER_S, moments_of
from leakscope.facts import GroupFacts, common_wait
from leakscope.model import Frame, Frames, ThreadKey
from leakscope.policy import DEFAULT_POLICY, LEAKS, Policy, Trend, Verdict
from leakscope.pools import is_held_open
from leakscope.rules.held import likely_leaked
from leakscope.rules.unread import is_unread
from leakscope.spans import duration
from leakscope.stacks import Level, entry, group_id, site


class Judged(NamedTuple):
    """A group and its verdict."""

    facts: GroupFacts
    verdict: Verdict


class Cause(NamedTuple):
    """What is wrong with the program, and the fix in terms of code."""

    id: str
    certain: bool  # a statement, not a hint
    why: str
    cure: str


class Culprit(NamedTuple):
    """A library whose threads leak, when used in a way that others have reported."""

    library: str
    what: str  # what leaks
    cure: str
    source: str  # where it was reported: `owner/repository#number`


@dataclass(frozen=True, slots=True)
class Leak:
    """One leak: threads that come and stay, for one reason."""

    id: str  # of its main group
    trend: Trend
    groups: tuple[str, ...]  # ids at the function level, the main one first
    leaked: tuple[ThreadKey, ...]
    rate_per_min: float
    rate_basis: str
    wait: str | None
    frames: Frames
    evidence: tuple[str, ...]
    cause: Cause | None = None
    culprit: Culprit | None = None

    @property
    def site(self) -> Frame | None:
        """The frame to look at first."""
        return site(self.frames)

    @property
    def entry(self) -> Frame | None:
        """The function that its threads were started in."""
        return entry(self.frames)

    @property
    def by_process(self) -> dict[int, int]:
        """How many of its threads are in which process, by PID, most first."""
        return dict(Counter(key.pid for key in self.leaked).most_common())


# Two groups are of one thing when at least this share of the moments at which either grew is
# shared: a thread more or less is a sample that fell between the starts.
_SHARED_MOMENTS = 0.8


def find_leaks(
    functions: Sequence[Judged], entries: Sequence[Judged], policy: Policy = DEFAULT_POLICY
) -> tuple[Leak, ...]:
    """All leaks, the one with most threads first."""
    leaks: list[Leak] = []
    taken: set[ThreadKey] = set()
    worst_first = sorted(
        (judged for judged in (*entries, *functions) if judged.verdict.trend in LEAKS),
        key=lambda j: (j.facts.level is Level.FUNCTION, -len(j.verdict.leaked), j.facts.id),
    )
    for judged in worst_first:
        leaked = [key for key in judged.verdict.leaked if key not in taken]
        if len(leaked) < len(judged.verdict.leaked) / 2:
            continue  # most of it is part of a leak that was named already
        leak = _leak(judged, leaked)
        if judged.facts.level is Level.FUNCTION:
            leak = _with_family(leak, judged, functions, taken, policy)
        taken.update(leak.leaked)
        leaks.append(leak)
    return tuple(sorted(leaks, key=lambda leak: (-len(leak.leaked), leak.id)))


def projected(shown: Judged, functions: Iterable[Judged], leaks: Iterable[Leak]) -> Judged:
    """A group of another level, with the worst verdict that most of its threads have.

    Threads are judged at the function level. Whatever is shown, the verdict of the process is that
    of its worst group.
    """
    members = {stay.key for stay in shown.facts.stays}
    for leak in leaks:
        if len(members.intersection(leak.leaked)) > len(members) / 2:
            verdict = Verdict(
                leak.trend,
                leak.evidence,
                leak.leaked,
                rate_per_min=leak.rate_per_min,
                rate_basis=leak.rate_basis,
            )
            return shown._replace(verdict=verdict)
    growing = [judged for judged in functions if judged.verdict.trend is Trend.GROWING]
    for judged in growing:
        if len(members.intersection(s.key for s in judged.facts.stays)) > len(members) / 2:
            return shown._replace(verdict=judged.verdict)
    return shown


def _leak(judged: Judged, leaked: Sequence[ThreadKey]) -> Leak:
    facts, verdict = judged.facts, judged.verdict
    stays = {stay.key: stay for stay in facts.stays}
    if facts.level is Level.FUNCTION:
        groups = [facts.id]
    else:
        held = [group_id(stays[key].frames, Level.FUNCTION) for key in leaked]
        groups = sorted(set(held), key=lambda id_: (-held.count(id_), id_))
    return Leak(
        id=facts.id,
        trend=verdict.trend,
        groups=tuple(groups),
        leaked=tuple(leaked),
        rate_per_min=verdict.rate_per_min or 0.0,
        rate_basis=verdict.rate_basis or "watched",
        wait=common_wait(stays[key] for key in leaked),
        frames=facts.frames,
        evidence=verdict.evidence,
    )


def _with_family(
    leak: Leak,
    judged: Judged,
    functions: Sequence[Judged],
    taken: set[ThreadKey],
    policy: Policy,
) -> Leak:
    """The leak with the groups that were born together with it: one leaked object, many threads."""
    moments = moments_of(judged.verdict.moments)
    tolerance_s = _tolerance_s(judged.facts)
    members = [judged]
    threads = list(leak.leaked)
    for other in functions:
        if other is judged or other.verdict.trend is Trend.RUNAWAY or is_unread(other.facts):
            continue
        stays = [s for s in likely_leaked(other.facts, policy) if s.key not in taken]
        stays = [stay for stay in stays if stay.key not in threads]
        if is_held_open(other.facts.frames, stays):
            continue
        theirs = moments_of([stay.began_s for stay in stays])
        if len(theirs) >= 2 and _is_family(moments, theirs, tolerance_s):
            members.append(other)
            threads += [stay.key for stay in stays if _near(moments, stay.began_s, tolerance_s)]
    if len(members) == 1:
        return leak
    per_object = len(threads) / len(moments)
    each_s = median(b - a for a, b in pairwise(moments)) if len(moments) > 1 else 0.0
    return replace(
        leak,
        groups=tuple(member.facts.id for member in members),
        leaked=tuple(threads),
        rate_per_min=leak.rate_per_min * len(threads) / len(leak.leaked),
        evidence=(
            f"Groups that are born together: one object each {duration(each_s)}, "
            f"{per_object:.0f} threads each, in {len(members)} stacks.",
            *leak.evidence,
        ),
    )


def _tolerance_s(facts: GroupFacts) -> float:
    """How exactly births are known: to 10 ms by the kernel, else to the look that saw them."""
    if all(stay.born_s is not None for stay in facts.stays):
        return TOGETHER_S
    return max(TOGETHER_S, 0.6 * facts.interval_s)


def _is_family(ours: Sequence[float], theirs: Sequence[float], tolerance_s: float) -> bool:
    shared = sum(_near(ours, at, tolerance_s) for at in theirs)
    answered = sum(_near(theirs, at, tolerance_s) for at in ours)
    return shared >= _SHARED_MOMENTS * len(theirs) and answered >= _SHARED_MOMENTS * len(ours)


def _near(ordered: Sequence[float], at: float, tolerance_s: float) -> bool:
    i = bisect_left(ordered, at)
    return any(abs(near - at) <= tolerance_s for near in ordered[max(i - 1, 0) : i + 1])
