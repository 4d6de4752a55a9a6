"""Does a group of threads leak? Numbers in, a verdict with its reasons out; no clock, no I/O.

A group as such cannot be judged: a leaked executor's worker idles in exactly the stack of a healthy
pool's worker. So its threads are. A thread is *held* when it came, stayed, and shows no sign of
being used. A leak is held threads that keep coming.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from statistics import median

from leakscope.births import (
    is_burst,
    is_even,
    longest_likely_gap_s,
    moments_of,
    rate_per_min,
    without_bursts,
)
from leakscope.facts import GroupFacts, Left, Stay
from leakscope.model import RunState, ThreadKey
from leakscope.parked import is_held_by_clients
from leakscope.pools import (
    is_bounded_pool,
    is_connection_reader,
    is_executor_worker,
    is_idle_executor,
    newcomers,
)
from leakscope.spans import duration
from leakscope.stacks import Level


class Trend(StrEnum):
    """The verdict of a group, the worst first."""

    LEAKING = "leaking"
    RUNAWAY = "runaway"
    GROWING = "growing"
    WARMING = "warming"
    CHURNING = "churning"
    SHRINKING = "shrinking"
    STEADY = "steady"


LEAKS = (Trend.LEAKING, Trend.RUNAWAY)

# Two rests between three runs can be compared; fewer tell of no clock.
MIN_RUNS_OF_A_CLOCK = 3


@dataclass(frozen=True, slots=True)
class Policy:
    """The thresholds of judgement, each with its reason."""

    # Half a minute is the field's common patience (gunicorn's worker timeout, SQLAlchemy's pool
    # timeout, load balancers' probes). A burst, a warm-up and a slow request look like the start of
    # a leak until it has passed.
    min_watched_s: float = 30.0
    # Seven or fewer threads are a small pool, an SDK's helpers or one slow moment; and with eight
    # or more arrivals the chance that all are still there by luck is small for any turnover.
    min_held: int = 8
    # Where the kernel's counters say that not one of them ran again, fewer prove the same.
    min_held_parked: int = 6
    # Arrivals at fewer moments than this are a burst, however many threads it brought: a pool.
    min_moments: int = 5
    # Growth that lasted less than this is a moment, whatever its rate.
    min_span_s: float = 10.0
    # A thread must outlive by a quarter, and two seconds, what those that left had stayed.
    outlive_ratio: float = 1.25
    outlive_s: float = 2.0
    # Share of the threads that may have come within a tenth of the time: more is a burst.
    max_burst_share: float = 0.5
    # A thread that came back to its place this often goes out to work from there. Less is a start
    # that was sampled half-way, or a flush at the end of a start.
    visits_of_work: int = 3
    # Likelihood from which a thread counts as leaked rather than as one of the group's short-lived.
    min_likelihood: float = 0.75
    # Births alone: more threads, and either ten minutes (no request takes that long) or, where
    # there is but one look to say it by, births that reach back to the first quarter of the
    # process's life (then nothing of the kind ever ended).
    min_births: int = 16
    births_span_s: float = 600.0
    births_reach: float = 0.25
    one_look: bool = False
    # Growth that is worth a word though it proves nothing: this many threads, and this share.
    growing_by: int = 5
    growing_share: float = 0.2


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a group does, and why leakscope says so."""

    trend: Trend
    evidence: tuple[str, ...] = ()  # whole sentences, with the numbers
    leaked: tuple[ThreadKey, ...] = ()  # the threads held to be leaked
    moments: tuple[float, ...] = ()  # when they came
    rate_per_min: float | None = None
    rate_basis: str | None = None  # "watched" or "births"


DEFAULT_POLICY = Policy()


def judge(facts: GroupFacts, policy: Policy = DEFAULT_POLICY) -> Verdict:
    """The verdict of one group."""
    if not facts.size:
        return Verdict(_without_leak(facts, policy))
    for rule in (_runaway, _rearmed, _held, _born):
        verdict = rule(facts, policy)
        if verdict:
            return verdict
    return Verdict(_without_leak(facts, policy), _growth_so_far(facts))


# --- threads that come and stay -----------------------------------------------------------------


def _held(facts: GroupFacts, policy: Policy) -> Verdict | None:
    """The main rule: threads that came, stayed, are not used, and keep coming."""
    if facts.level is not Level.FUNCTION:
        # A level above says nothing that the function level does not, but of stacks that change all
        # the time; those are the runaway's.
        return None
    likely = likely_leaked(facts, policy)
    things = _things(likely, facts)
    if not things or _are_mostly_used(facts, policy):
        return None
    arrivals = sorted(stay.began_s for stay in things)
    if not _is_enough(things, arrivals, facts, policy):
        return None
    if not _keeps_coming(arrivals, facts, policy):
        return None
    if is_connection_reader(facts.frames) or is_held_by_clients(likely):
        return None
    rate = rate_per_min([stay.began_s for stay in likely])
    parked = facts.counters_known and all(stay.ran_looks == 0 for stay in things)
    return Verdict(
        Trend.LEAKING,
        _evidence_of_held(likely, facts, rate, parked=parked),
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


def _normal_stay_s(left: Sequence[Left], policy: Policy) -> float:
    """How long the threads stay in this group that do leave it: 95 of 100 of them, and a margin."""
    stays = sorted(gone.age_s for gone in left if gone.ended)
    if not stays:
        return policy.outlive_s
    return policy.outlive_ratio * stays[int(0.95 * (len(stays) - 1) + 0.5)] + policy.outlive_s


def _things(likely: list[Stay], facts: GroupFacts) -> list[Stay]:
    """One thread for each leaked thing: its own, but for the workers of executors.

    An executor and a server's pool are bounded: their workers come one by one as load asks for
    them, and then no more. So an executor counts once, however many workers it has. Workers that
    are stuck in a job (not one came out of it, none has run since) count each.
    """
    executor = is_executor_worker(facts.frames)
    if not executor and not is_bounded_pool(facts.frames):
        return likely
    stuck = facts.departed == 0 and not is_idle_executor(facts.frames)
    if stuck and facts.counters_known and all(stay.ran_looks == 0 for stay in likely):
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
    parked = facts.counters_known and all(stay.ran_looks == 0 for stay in things)
    wanted = policy.min_held_parked if parked else policy.min_held
    return (
        len(watched) >= wanted
        and len(moments_of(arrivals)) >= policy.min_moments
        and arrivals[-1] - arrivals[0] >= policy.min_span_s
    )


def _keeps_coming(arrivals: Sequence[float], facts: GroupFacts, policy: Policy) -> bool:
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


# --- threads that were born one by one, before anyone looked -----------------------------------

# Waits that no client and no pool holds open: whoever should end them is inside the process. What
# a thread waits for at a socket is up to its peer; of an unknown wait nothing can be said.
_INSIDE = frozenset(
    {
        *("queue.get", "queue.put", "queue.join", "lock", "condition", "event", "semaphore"),
        *("barrier", "future", "join", "subprocess", "timer", "executor idle", "pool handler"),
    }
)


def _born(facts: GroupFacts, policy: Policy) -> Verdict | None:
    """What start times alone say, of growth that began before the watch."""
    if facts.level is not Level.FUNCTION:
        return None
    known = [stay for stay in facts.stays if stay.born_s is not None]
    held = unused(known, facts, policy)
    single = set(without_bursts([stay.began_s for stay in held]))
    held = [stay for stay in held if stay.began_s in single]
    if len(held) < policy.min_held:
        return None
    things = _things(held, facts)
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
        and _reaches_back(min(births), span_s, facts, policy)
        and _common_wait(held) in _INSIDE
        and not is_connection_reader(facts.frames)
        and not is_held_by_clients(held)
        and not is_bounded_pool(facts.frames)
    )
    if not proven:
        return Verdict(Trend.GROWING, (told, _what_would_settle_it(facts, policy)))
    leaked = tuple(stay.key for stay in held)
    return Verdict(Trend.LEAKING, (told,), leaked, tuple(births), rate, "births")


def _reaches_back(first_s: float, span_s: float, facts: GroupFacts, policy: Policy) -> bool:
    """Whether births go back far enough that nothing else than a leak explains them."""
    if span_s >= policy.births_span_s:
        return True
    if facts.process_began_s is None or not policy.one_look:
        return False
    life_s = facts.now_s - facts.process_began_s
    return first_s - facts.process_began_s <= policy.births_reach * life_s


def _common_wait(stays: Sequence[Stay]) -> str | None:
    waits = [stay.wait for stay in stays if stay.state is not RunState.RUNNING]
    return max(set(waits), key=waits.count) if waits else None


def _what_would_settle_it(facts: GroupFacts, policy: Policy) -> str:
    if is_connection_reader(facts.frames) or (_common_wait(facts.stays) or "").startswith("socket"):
        return "Whoever is at the other end of the connection may hold them open, by right."
    if is_bounded_pool(facts.frames) or is_executor_worker(facts.frames):
        return "It may be a pool that is filling up: it is a leak if it grows past its size."
    needed_s = max(policy.min_watched_s - facts.watched_s, 10.0)
    return f"Watching for {duration(needed_s)} more would tell whether they stay unused."


# --- threads that replace themselves --------------------------------------------------------------


def _rearmed(facts: GroupFacts, policy: Policy) -> Verdict | None:
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
    falls = sum(later < earlier for earlier, later in pairwise(sizes))
    grown = facts.size - sizes[0]
    moments = [point.elapsed_s for point in rises]
    stayed = sorted(gone.age_s for gone in facts.left if gone.ended)
    if (
        grown < policy.min_held
        or falls > 0.05 * len(sizes)
        or facts.ended < grown
        or len(moments) < policy.min_moments
        or stayed[-1] - stayed[0] > 0.5 * stayed[len(stayed) // 2] + 2 * facts.interval_s
        or not _keeps_coming(moments, replace(facts, left=()), policy)
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


# --- threads that burn CPU and never end ----------------------------------------------------------


def _runaway(facts: GroupFacts, policy: Policy) -> Verdict | None:
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
    if len(moments_of(arrivals)) < policy.min_moments or not _keeps_coming(
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


# --- all the rest ---------------------------------------------------------------------------------


def _without_leak(facts: GroupFacts, policy: Policy) -> Trend:
    """What to call a group that does not leak."""
    grown = facts.size - facts.first
    worth = max(policy.growing_by, policy.growing_share * max(facts.first, 1))
    if grown >= worth and _still_growing(facts):
        pool = is_bounded_pool(facts.frames) or (
            is_idle_executor(facts.frames) and len(newcomers(facts.stays)) <= 0.5 * facts.size
        )
        return Trend.WARMING if pool else Trend.GROWING
    if facts.peak - facts.size >= max(policy.growing_by, policy.growing_share * facts.peak) and (
        facts.size < facts.first
    ):
        return Trend.SHRINKING
    if facts.departed >= max(policy.growing_by, facts.peak):
        return Trend.CHURNING
    return Trend.STEADY


def _still_growing(facts: GroupFacts) -> bool:
    """Whether the count is at its highest, or near, and rose in the last third of the time.

    Growth that stopped that long ago is a pool that has filled up, or a step.
    """
    if facts.size < 0.8 * facts.peak:
        return False
    third_ago_s = facts.now_s - facts.watched_s / 3
    then = [point.size for point in facts.points if point.elapsed_s <= third_ago_s]
    return facts.size > (then[-1] if then else 0) + 0.1 * facts.size


def _growth_so_far(facts: GroupFacts) -> tuple[str, ...]:
    if facts.size - facts.first < 2:
        return ()
    return (
        f"{facts.first} threads at first, {facts.size} now: {facts.arrived} came, "
        f"{facts.departed} left, over {duration(facts.watched_s)}.",
    )
