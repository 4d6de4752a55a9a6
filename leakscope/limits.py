"""Which limit a leak will run into first, and when; what a leaked thread costs. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf, sqrt
from typing import NamedTuple

from leakscope.spans import FORESEEABLE_S, roughly, unit_of

# Fewer new threads than this drown in what else a process takes up and gives back meanwhile.
MIN_ADDED = 8

# Sooner than this there is no time left to read a number of seconds.
_NOW_S = 10.0


class Limit(NamedTuple):
    """Something that can run out."""

    name: str  # with its value and whose it is: `pids.max 2048 (cgroup /kubepods/pod1)`
    used: int  # in its own unit: threads, maps, bytes
    allowed: int
    per_thread: float  # units that one more thread takes; 0 as long as that is not known (memory)

    @property
    def kind(self) -> str:
        """What the kernel calls it: the same on every machine, whatever its value there."""
        return self.name.partition(" ")[0]


class Deadline(NamedTuple):
    """The limit that is hit first, and when: all in seconds from now."""

    limit: Limit
    seconds: float  # 0 when it is reached already
    earliest_s: float
    latest_s: float | None  # None where the rate is so uncertain that it may as well be nothing


class Usage(NamedTuple):
    """What a process took up at one moment."""

    elapsed_s: float
    threads: int
    rss_bytes: int | None  # None where it could not be read
    descriptors: int | None


class Resources(NamedTuple):
    """What a process takes up, and what it may."""

    usage: Usage
    limits: tuple[Limit, ...]

    @property
    def elapsed_s(self) -> float:
        """When this was read, in seconds since the watch began."""
        return self.usage.elapsed_s


class ThreadCost(NamedTuple):
    """What one more thread takes, with all that it holds; None where too little was seen."""

    memory_bytes: float | None = None
    descriptors: float | None = None


def relative_error(arrivals: int) -> float:
    """How far off a rate of so many arrivals may be, as a share of it (95 %).

    Arrivals at random make a Poisson count, whose variance is its mean: a rate from n of them has a
    relative standard error of 1/sqrt(n), and 95 of 100 times lies within twice that. Arrivals by a
    clock spread less, so the range errs on the wide side. For few arrivals it is coarse: for 8 it
    is 2.3 to 13.7, where Garwood's exact interval (Biometrika 28, 1936) is 3.5 to 15.8.
    """
    return 2 / sqrt(arrivals) if arrivals > 0 else inf


def nearest_deadline(
    limits: Iterable[Limit], rate_per_min: float, rate_error: float
) -> Deadline | None:
    """Which limit is hit first by threads that come at this rate; None when none is.

    `rate_error` is the share of the rate that it may be off by, `relative_error` of the arrivals
    that it was counted from. The range follows from that alone: it takes the use of the limit by
    anyone else to stay as it is, and each thread to cost what the others did.
    """
    if rate_per_min <= 0:
        return None
    left = [
        (max(limit.allowed - limit.used, 0) / limit.per_thread, limit)
        for limit in limits
        if limit.per_thread > 0
    ]
    if not left:
        return None
    threads, limit = min(left, key=lambda one: one[0])
    seconds = 60 * threads / rate_per_min
    return Deadline(
        limit,
        seconds,
        seconds / (1 + rate_error),
        seconds / (1 - rate_error) if rate_error < 1 else None,
    )


def nearest_limit(limits: Iterable[Limit]) -> Limit | None:
    """The limit of which the greatest part is used."""
    known = [limit for limit in limits if limit.allowed > 0]
    return max(known, key=lambda limit: limit.used / limit.allowed, default=None)


def deadline_sentence(deadline: Deadline) -> str:
    """When what runs out: `pids.max 2048 (cgroup /pod1) in 14 h, between 11 h and 19 h`."""
    limit, latest_s = deadline.limit, deadline.latest_s
    if limit.used >= limit.allowed:
        return f"{limit.name} is reached: no new thread can be counted on"
    if deadline.seconds < _NOW_S:
        return f"{limit.name} any moment now"
    # All in the unit of the middle one, or the ends could not be compared.
    unit_s = unit_of(deadline.seconds)
    said = f"{limit.name} in {roughly(deadline.seconds)}"
    earliest = roughly(deadline.earliest_s, unit_s)
    if deadline.earliest_s >= FORESEEABLE_S:
        return said
    if latest_s is None or latest_s >= FORESEEABLE_S:
        return f"{said}, {earliest} at the earliest"
    latest = roughly(latest_s, unit_s)
    return said if earliest == latest else f"{said}, between {earliest} and {latest}"


def thread_cost(readings: Sequence[Usage]) -> ThreadCost:
    """What each thread that was added between the first reading and the last has cost.

    All that the process took up meanwhile is put down to them, so it is an upper estimate; where
    the process took up less in the end, it says nothing of threads.
    """
    return ThreadCost(
        _each([(use.threads, use.rss_bytes) for use in readings if use.rss_bytes is not None]),
        _each([(use.threads, use.descriptors) for use in readings if use.descriptors is not None]),
    )


def _each(readings: Sequence[tuple[int, int]]) -> float | None:
    if not readings:
        return None
    (threads_then, used_then), (threads_now, used_now) = readings[0], readings[-1]
    added = threads_now - threads_then
    if added < MIN_ADDED or used_now < used_then:
        return None
    return (used_now - used_then) / added


def with_cost(limits: Iterable[Limit], cost: ThreadCost) -> tuple[Limit, ...]:
    """The limits, with what a thread takes of memory filled in where that was not known."""
    return tuple(
        limit._replace(per_thread=cost.memory_bytes)
        if limit.per_thread <= 0 and cost.memory_bytes
        else limit
        for limit in limits
    )
