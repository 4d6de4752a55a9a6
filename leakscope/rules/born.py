"""Threads that were born one by one, before anyone looked."""

from __future__ import annotations

from collections.abc import Sequence

from leakscope.births import (
    is_even,
    longest_likely_gap_s,
    moments_of,
    rate_per_min,
    without_bursts,
)
from leakscope.facts import GroupFacts
from leakscope.policy import Policy, Trend, Verdict
from leakscope.pools import (
    is_bounded_pool,
    is_held_open,
)
from leakscope.rules.held import things_of
from leakscope.rules.settled import is_pool, what_would_settle_it
from leakscope.spans import duration
from leakscope.stacks import Level
from leakscope.use import unused

# Waits that no client and no pool holds open: whoever should end them is inside the process. What
# a thread waits for at a socket is up to its peer; of an unknown wait nothing can be said.
_INSIDE = frozenset(
    {
        *("queue.get", "queue.put", "queue.join", "lock", "condition", "event", "semaphore"),
        *("barrier", "future", "join", "subprocess", "timer", "executor idle", "pool handler"),
    }
)


def born(facts: GroupFacts, policy: Policy) -> Verdict | None:
    """What start times alone say, of growth that began before the watch."""
    if facts.level is not Level.FUNCTION:
        return None
    known = [stay for stay in facts.stays if stay.born_s is not None]
    held = unused(known, facts, policy)
    single = set(without_bursts([stay.began_s for stay in held]))
    held = [stay for stay in held if stay.began_s in single]
    if len(held) < policy.min_held:
        return None
    things = things_of(held, facts)
    births = [stay.began_s for stay in things]
    moments = moments_of(births)
    if len(births) < policy.min_held or len(moments) < policy.min_moments:
        return None
    last_s, span_s = max(births), max(births) - min(births)
    if span_s < policy.min_span_s or not is_even(births, last_s):
        return None
    rate = rate_per_min([stay.began_s for stay in held])
    told = (
        f"{len(held)} threads, started one by one over {duration(span_s)}, {rate:.1f} a minute, "
        "none in a burst."
    )
    age_s = facts.now_s - last_s
    if age_s > longest_likely_gap_s(moments):
        stopped = f"Grew until {duration(age_s)} ago: no thread of this stack is younger."
        return Verdict(Trend.STEADY, (told, stopped))
    proven = (
        len(births) >= policy.min_births
        and (span_s >= policy.births_span_s or _never_ended(births, facts, policy))
        and sum(stay.wait in _INSIDE for stay in held) > len(held) / 2
        and not is_held_open(facts.frames, held)
        and not is_bounded_pool(facts.frames)
    )
    if not proven:
        trend = Trend.WARMING if is_pool(facts) else Trend.GROWING
        return Verdict(trend, (told, what_would_settle_it(facts, policy)))
    leaked = tuple(stay.key for stay in held)
    return Verdict(Trend.LEAKING, (told,), leaked, tuple(births), rate, "births")


def _never_ended(births: Sequence[float], facts: GroupFacts, policy: Policy) -> bool:
    """Whether all that ever began seem to be there still, and are too many for a pool."""
    if facts.process_began_s is None or not policy.one_look:
        return False
    life_s = facts.now_s - facts.process_began_s
    return (
        len(births) > policy.more_than_a_pool
        and min(births) - facts.process_began_s <= policy.births_reach * life_s
    )
