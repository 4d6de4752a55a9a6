"""Threads that burn CPU and never end."""

from __future__ import annotations

from dataclasses import replace

from leakscope.births import (
    moments_of,
    rate_per_min,
)
from leakscope.facts import GroupFacts
from leakscope.policy import Policy, Trend, Verdict
from leakscope.rules.held import keeps_coming
from leakscope.spans import duration
from leakscope.stacks import Level


def runaway(facts: GroupFacts, policy: Policy) -> Verdict | None:
    """Loops that never end: threads that keep coming, never end, and never wait.

    Judged by the function that they were started in, since their stacks change all the time. A
    thread of a pool under load is busy too, but is found waiting for work now and then.
    """
    if facts.level is not Level.ENTRY or facts.watched_s <= policy.min_watched_s:
        return None
    busy = [
        stay
        for stay in facts.stays
        if not stay.from_start and stay.looks >= 3 and stay.waiting_share <= 0.02
    ]
    settled = [stay for stay in facts.stays if not stay.from_start and stay.looks >= 3]
    if len(busy) < max(policy.min_held_parked, 0.8 * len(settled)) or facts.ended > len(busy) / 4:
        return None
    # Together they keep at least most of one core busy (Python's lock gives them no more), and
    # hardly one of them was never seen at it.
    at_it = sum(stay.running_share > 0 or stay.cpu_ticks > 0 for stay in busy)
    if sum(stay.running_share for stay in busy) < 0.7 or at_it < 0.8 * len(busy):
        return None
    arrivals = [stay.began_s for stay in busy]
    if len(moments_of(arrivals)) < policy.min_moments or not keeps_coming(
        arrivals, replace(facts, left=()), policy
    ):
        return None
    rate = rate_per_min(arrivals)
    return Verdict(
        Trend.RUNAWAY,
        (
            f"{len(busy)} threads came over {duration(facts.now_s - min(arrivals))}, "
            f"{rate:.1f} a minute, none ended, and not one was ever found waiting: loops that "
            "never end.",
        ),
        tuple(stay.key for stay in busy),
        tuple(arrivals),
        rate,
        "watched",
    )
