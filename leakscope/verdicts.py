"""Does a group of threads leak? Numbers in, a verdict with its reasons out; no clock, no I/O.

A group as such cannot be judged: a leaked executor's worker idles in exactly the stack of a healthy
pool's worker. So its threads are. A thread is *held* when it came, stayed, and shows no sign of
being used. A leak is held threads that keep coming.
"""

from __future__ import annotations

from leakscope.facts import GroupFacts
from leakscope.policy import DEFAULT_POLICY, Policy, Verdict
from leakscope.rules.born import born
from leakscope.rules.held import held
from leakscope.rules.rearmed import rearmed
from leakscope.rules.runaway import runaway
from leakscope.rules.settled import growth_so_far, without_leak
from leakscope.rules.unread import unread


def judge(facts: GroupFacts, policy: Policy = DEFAULT_POLICY) -> Verdict:
    """The verdict of one group."""
    if not facts.size:
        return Verdict(without_leak(facts, policy))
    for rule in (unread, runaway, rearmed, held, born):
        verdict = rule(facts, policy)
        if verdict:
            return verdict
    trend = without_leak(facts, policy)
    return Verdict(trend, growth_so_far(facts, policy, trend))
