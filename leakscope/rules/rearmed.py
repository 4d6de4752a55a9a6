"""Threads that replace themselves: timers that start the next timer when they fire."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from leakscope.facts import GroupFacts
from leakscope.policy import Policy, Trend, Verdict
from leakscope.rules.held import keeps_coming
from leakscope.spans import duration
from leakscope.stacks import Level


def rearmed(facts: GroupFacts, policy: Policy) -> Verdict | None:
    """Timers that start the next timer when they fire: each thread ends, the count grows.

    Requests under rising load look alike (threads come and go, their number grows), so this is said
    of `threading.Timer` only; and only while the count, with all that turnover, hardly ever falls:
    each one that ends has its successor, which load does not have.
    """
    if facts.level is not Level.FUNCTION:
        return None
    waiting = [stay.wait for stay in facts.stays]
    if waiting.count("timer") <= len(waiting) / 2 or facts.watched_s <= policy.min_watched_s:
        return None
    sizes = [point.size for point in facts.points]
    rises = [later for earlier, later in pairwise(facts.points) if later.size > earlier.size]
    fallen = sum(max(earlier - later, 0) for earlier, later in pairwise(sizes))
    grown = facts.size - sizes[0]
    moments = [point.elapsed_s for point in rises]
    stayed = sorted(gone.age_s for gone in facts.left if gone.ended)
    if (
        grown < policy.min_held
        # Independent comings and goings of a few a look make the count fall by a sixth of those
        # that end, or more. A timer that is caught while it fires makes a dip now and then.
        or fallen > 0.05 * facts.ended
        or facts.ended < grown
        or len(moments) < policy.min_moments
        or _spread_s(stayed) > 0.5 * stayed[len(stayed) // 2] + 2 * facts.interval_s
        or not keeps_coming(moments, replace(facts, left=()), policy)
    ):
        return None
    rate = 60 * grown / (facts.now_s - facts.points[0].elapsed_s)
    return Verdict(
        Trend.LEAKING,
        (
            f"{facts.size} timers, {grown} more than {duration(facts.watched_s)} ago, "
            f"{rate:.1f} a minute.",
            f"{facts.ended} timer threads ended after {duration(stayed[len(stayed) // 2])} each, "
            "and each had its successor at once: timers that re-arm themselves.",
        ),
        tuple(stay.key for stay in facts.stays),
        tuple(moments),
        rate,
        "watched",
    )


def _spread_s(ordered: list[float]) -> float:
    """How far the middle eight tenths lie apart: timers that are cancelled end at any time."""
    tenth = len(ordered) // 10
    return ordered[-1 - tenth] - ordered[tenth]
