"""Is a thread in use? A thread that is given work is not leaked, however long it stays."""

from __future__ import annotations

from collections.abc import Sequence

from leakscope.facts import GroupFacts, Stay
from leakscope.policy import DEFAULT_POLICY, Policy

# Two rests between three runs can be compared; fewer tell of no clock.
MIN_RUNS_OF_A_CLOCK = 3


def never_ran(stays: Sequence[Stay], facts: GroupFacts) -> bool:
    """Whether the kernel's counters say that none of these threads has run since it came."""
    return facts.counters_known and all(stay.ran_looks == 0 for stay in stays)


def unused(stays: Sequence[Stay], facts: GroupFacts, policy: Policy) -> list[Stay]:
    """Of these threads of one stack, those that show no sign of being given work.

    They share their code and so the way that they wake up: where more than a third of those that do
    keep no clock, the others only seem to, for a while, and none but those that never woke count.
    """
    kept = [stay for stay in stays if not is_in_use(stay, facts.interval_s, policy)]
    woken = [stay for stay in facts.stays if stay.ran_looks >= MIN_RUNS_OF_A_CLOCK]
    by_clock = sum(_is_regular(stay, facts.interval_s) for stay in woken)
    if by_clock < 2 / 3 * len(woken):
        return [stay for stay in kept if stay.ran_looks == 0]
    return kept


def is_in_use(stay: Stay, interval_s: float, policy: Policy = DEFAULT_POLICY) -> bool:
    """Whether a thread was given work while it was watched.

    It went out and came back, or it woke up, and not by its own clock: a thread that polls wakes up
    at even times, one that is given work does not.
    """
    if stay.visits >= policy.visits_of_work:
        return True
    if stay.ran_looks == 0 or stay.last_ran_s is None:
        return False
    return not _is_regular(stay, interval_s)


def _is_regular(stay: Stay, interval_s: float) -> bool:
    """Whether a thread wakes up by a clock of its own.

    The rests of work that comes at random spread as wide as their mean is long (a Poisson process).
    A clock's hardly spread, but for the look that a run falls between (half an interval).
    """
    if stay.ran_looks < MIN_RUNS_OF_A_CLOCK:
        return False
    return stay.rest_spread_s <= 0.35 * stay.mean_rest_s + 0.5 * interval_s
