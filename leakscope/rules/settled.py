"""What to call a group that does not leak."""

from __future__ import annotations

from leakscope.facts import GroupFacts, common_wait
from leakscope.policy import Policy, Trend
from leakscope.pools import is_bounded_pool, is_connection_reader, is_executor_worker, newcomers
from leakscope.spans import duration
from leakscope.use import unused


def without_leak(facts: GroupFacts, policy: Policy) -> Trend:
    """What to call a group that does not leak."""
    grown = facts.size - facts.first
    worth = max(policy.growing_by, policy.growing_share * max(facts.first, 1))
    if grown >= worth and _still_growing(facts, policy):
        return Trend.WARMING if is_pool(facts) else Trend.GROWING
    if facts.peak - facts.size >= max(policy.growing_by, policy.growing_share * facts.peak) and (
        facts.size < facts.first
    ):
        return Trend.SHRINKING
    if facts.departed >= max(policy.growing_by, facts.peak):
        return Trend.CHURNING
    return Trend.STEADY


def is_pool(facts: GroupFacts) -> bool:
    """Whether most of a group are workers of a few pools, which fill up and then stop."""
    return is_bounded_pool(facts.frames) or (
        is_executor_worker(facts.frames) and len(newcomers(facts.stays)) <= 0.5 * facts.size
    )


def _still_growing(facts: GroupFacts, policy: Policy) -> bool:
    """Whether the count is higher than it ever was until a third of the time ago, by a tenth.

    Growth that stopped that long ago is a pool that has filled up, or a step. And threads that come
    and go back to work swing; most of a group that grows shows no sign of use.
    """
    third_ago_s = facts.now_s - facts.watched_s / 3
    then = max((point.size for point in facts.points if point.elapsed_s <= third_ago_s), default=0)
    if facts.size <= then + 0.1 * facts.size:
        return False
    return is_pool(facts) or len(unused(facts.stays, facts, policy)) >= facts.size / 2


def growth_so_far(facts: GroupFacts, policy: Policy, trend: Trend) -> tuple[str, ...]:
    """How the count went, in whole sentences; none where hardly anything came."""
    if facts.size - facts.first < 2:
        return ()
    threads = "thread" if facts.first == 1 else "threads"
    told = (
        f"{facts.first} {threads} at first, {facts.size} now: {facts.arrived} came, "
        f"{facts.departed} left, over {duration(facts.watched_s)}.",
    )
    if trend is not Trend.GROWING:
        return told
    return (*told, what_would_settle_it(facts, policy))


def what_would_settle_it(facts: GroupFacts, policy: Policy) -> str:
    """What would tell whether growth is a leak."""
    wait = common_wait(facts.stays) or ""
    if is_connection_reader(facts.frames) or wait.startswith("socket"):
        return "Whoever is at the other end of the connection may hold them open, by right."
    if is_pool(facts):
        return "It may be a pool that is filling up: it is a leak if it grows past its size."
    needed_s = max(policy.min_watched_s - facts.watched_s, 10.0)
    return f"Watching for {duration(needed_s)} more would tell whether they stay unused."
