"""Threads that come and stay: the main rule.

A thread is held when it came, stayed, and shows no sign of being used. A leak is held threads that
keep coming.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

from leakscope.averages import median
from leakscope.births import (
    is_burst,
    longest_likely_gap_s,
    moments_of,
    rate_per_min,
)
from leakscope.facts import GroupFacts, Left, Stay
from leakscope.policy import DEFAULT_POLICY, Policy, Trend, Verdict
from leakscope.pools import (
    is_bounded_pool,
    is_executor_worker,
    is_held_open,
    is_idle_executor,
    newcomers,
)
from leakscope.spans import duration
from leakscope.stacks import Level
from leakscope.use import never_ran, unused


def held(facts: GroupFacts, policy: Policy) -> Verdict | None:
    """The main rule: threads that came, stayed, are not used, and keep coming."""
    if facts.level is not Level.FUNCTION:
        # A level above says nothing that the function level does not, but of stacks that change all
        # the time; those are the runaway's.
        return None
    likely = likely_leaked(facts, policy)
    things = things_of(likely, facts)
    if not things or _are_mostly_used(facts, policy):
        return None
    arrivals = sorted(stay.began_s for stay in things)
    if not _is_enough(things, arrivals, facts, policy):
        return None
    if not keeps_coming(arrivals, facts, policy):
        return None
    if is_held_open(facts.frames, likely):
        return None
    rate = rate_per_min([stay.began_s for stay in likely if not stay.from_start])
    return Verdict(
        Trend.LEAKING,
        _evidence_of_held(likely, facts, rate, parked=never_ran(things, facts)),
        tuple(stay.key for stay in likely),
        tuple(arrivals),
        rate,
        "watched",
    )


def _are_mostly_used(facts: GroupFacts, policy: Policy) -> bool:
    """Whether most of the newcomers turned out to be given work.

    Then those that were not yet are too young to tell, and no sign of a leak.
    """
    came = [stay for stay in facts.stays if not stay.from_start]
    return len(unused(came, facts, policy)) < len(came) / 2


def _normal_stay_s(left: Sequence[Left], policy: Policy) -> float:
    """How long the threads stay in this group that do leave it: 95 of 100 of them, and a margin."""
    stays = sorted(gone.age_s for gone in left if gone.ended)
    if not stays:
        return policy.outlive_s
    return policy.outlive_ratio * stays[int(0.95 * (len(stays) - 1) + 0.5)] + policy.outlive_s


def things_of(likely: list[Stay], facts: GroupFacts) -> list[Stay]:
    """One thread for each leaked thing: its own, but for the workers of executors.

    An executor and a server's pool are bounded: their workers come one by one as load asks for
    them, and then no more. So an executor counts once, however many workers it has. Workers that
    are stuck in a job (not one came out of it, none has run since) count each.
    """
    executor = is_executor_worker(facts.frames)
    if not executor and not is_bounded_pool(facts.frames):
        return likely
    stuck = facts.departed == 0 and not is_idle_executor(facts.frames)
    if stuck and never_ran(likely, facts):
        return likely
    return newcomers(likely) if executor else []


def likely_leaked(facts: GroupFacts, policy: Policy = DEFAULT_POLICY) -> list[Stay]:
    """The threads of a group that more likely are leaked than not; the oldest first.

    Those that outlived every normal stay give the rate at which threads leak. A younger one is
    leaked as likely as leaks are among all that would still be there at its age.
    """
    known = [stay for stay in facts.stays if not stay.from_start or stay.born_s is not None]
    held = unused(known, facts, policy)
    normal_s = _normal_stay_s(facts.left, policy)
    old = [stay for stay in held if facts.now_s - stay.began_s > normal_s]
    if not old:
        return []
    gone = sorted(left.age_s for left in facts.left if left.ended)
    since_s = min(min(stay.began_s for stay in old), facts.began_s)
    leaks_per_s = len(old) / max(facts.now_s - normal_s - since_s, 1.0)
    ends_per_s = len(gone) / max(facts.watched_s, 1.0)

    def likelihood(stay: Stay) -> float:
        age_s = facts.now_s - stay.began_s
        if gone and age_s <= policy.outlive_s:
            return 0.0  # so young, it may only be passing through
        outlasting = len(gone) - bisect_right(gone, age_s)
        healthy = ends_per_s * outlasting / len(gone) if gone else 0.0
        return leaks_per_s / (leaks_per_s + healthy)

    likely = [stay for stay in held if likelihood(stay) >= policy.min_likelihood]
    return _reaching_back(likely, policy)


def _reaching_back(likely: list[Stay], policy: Policy) -> list[Stay]:
    """Without those from before the watch that did not come the way the others come.

    Backwards from the first that was seen to come, those before it count for as long as they came
    as the later ones do: after a pause like theirs, and not many at once like the pool of a start.
    """
    watched = [stay for stay in likely if not stay.from_start]
    before = [stay for stay in likely if stay.from_start]
    if not before or len(watched) < policy.min_held_parked:
        return watched
    arrivals = [stay.began_s for stay in watched]
    moments = moments_of(arrivals)
    at_once = 2 * max(len(arrivals) / len(moments), 1.0)
    gap_s = longest_likely_gap_s(moments)
    earliest_s = moments[0]
    kept: list[Stay] = []
    births = sorted(stay.began_s for stay in before)
    for stay in sorted(before, key=lambda stay: -stay.began_s):
        together = bisect_right(births, stay.began_s + 0.25) - bisect_right(
            births, stay.began_s - 0.25
        )
        if earliest_s - stay.began_s > gap_s or together > at_once:
            break
        kept.append(stay)
        earliest_s = stay.began_s
    return [*reversed(kept), *watched]


def _is_enough(
    things: Sequence[Stay], arrivals: Sequence[float], facts: GroupFacts, policy: Policy
) -> bool:
    if facts.watched_s <= policy.min_watched_s:
        return False
    watched = [stay for stay in things if not stay.from_start]
    parked = never_ran(things, facts)
    wanted = policy.min_held_parked if parked else policy.min_held
    alike = parked and _come_in_equal_numbers(arrivals)
    moments = policy.min_moments_alike if alike else policy.min_moments
    return (
        len(watched) >= wanted
        and len(moments_of(arrivals)) >= moments
        and arrivals[-1] - arrivals[0] >= policy.min_span_s
    )


def _come_in_equal_numbers(arrivals: Sequence[float]) -> bool:
    """Whether each moment brought the same number of threads, and more than one."""
    moments = moments_of(arrivals)
    counts = Counter(bisect_right(moments, at) for at in arrivals)
    return len(set(counts.values())) == 1 and len(arrivals) > len(moments)


def keeps_coming(arrivals: Sequence[float], facts: GroupFacts, policy: Policy) -> bool:
    """Whether arrivals are spread over the time, and went on until now."""
    if is_burst(arrivals, facts.now_s, policy.max_burst_share):
        return False
    normal_s = _normal_stay_s(facts.left, policy)
    return facts.now_s - normal_s - arrivals[-1] <= longest_likely_gap_s(moments_of(arrivals))


def _evidence_of_held(
    leaked: Sequence[Stay], facts: GroupFacts, rate: float, *, parked: bool
) -> tuple[str, ...]:
    first_s = min(stay.began_s for stay in leaked)
    watched = sum(not stay.from_start for stay in leaked)
    said = [
        f"{len(leaked)} threads came here over {duration(facts.now_s - first_s)}, "
        f"{rate:.1f} a minute, and are still here; {watched} of them while leakscope watched."
    ]
    ended = [gone for gone in facts.left if gone.ended]
    if ended:
        typical_s = median(gone.age_s for gone in ended)
        said.append(
            f"{facts.ended} other threads of this stack ended, after {duration(typical_s)} "
            f"(median); these have outlived them."
        )
    else:
        said.append("Not one thread of this stack has ended.")
    if parked:
        said.append("None of them has run again since it came here: nothing wakes them up.")
    elif facts.counters_known:
        said.append("They wake up by a clock of their own (they poll), and none is given work.")
    return tuple(said)
