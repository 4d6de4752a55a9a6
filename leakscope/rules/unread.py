"""Threads whose stacks could not be read: the kernel alone tells of them."""

from __future__ import annotations

from leakscope.births import longest_likely_gap_s, moments_of, rate_per_min, without_bursts
from leakscope.facts import GroupFacts
from leakscope.policy import Policy, Trend, Verdict
from leakscope.spans import duration
from leakscope.stacks import Level, real_frames


def is_unread(facts: GroupFacts) -> bool:
    """Whether this is the group of the threads of which no stack is known."""
    return not real_frames(facts.frames)


def unread(facts: GroupFacts, policy: Policy) -> Verdict | None:
    """Growth that is known by births alone, of threads that may be of any kind: never a leak.

    What waits for its stack for a few seconds is no news. It is growth when as many threads as make
    a leak have come, at as many moments, over as long a time, and still come.
    """
    if not is_unread(facts):
        return None
    births = sorted(stay.began_s for stay in facts.stays)
    # What was there before leakscope came may have come in one burst; what it saw come has not.
    seen = [birth for birth in births if birth > facts.began_s]
    singly = seen if len(seen) >= policy.min_held else without_bursts(births)
    moments = moments_of(singly)
    if (
        facts.level is not Level.FUNCTION
        or len(singly) < policy.min_held
        or len(moments) < policy.min_moments
        or singly[-1] - singly[0] < policy.min_span_s
        or facts.now_s - singly[-1] > max(longest_likely_gap_s(moments), policy.min_span_s)
    ):
        return Verdict(Trend.STEADY)
    rate = rate_per_min(singly)
    of_late = " of late" if singly is seen else ""
    return Verdict(
        Trend.GROWING,
        (
            f"{len(births)} threads whose stacks could not be read, started over "
            f"{duration(births[-1] - births[0])} and still there; {rate:.1f} a minute{of_late}.",
        ),
        moments=tuple(singly),
        rate_per_min=rate,
        rate_basis="births",
    )
