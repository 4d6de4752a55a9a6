"""Verdicts, and the thresholds that they follow from, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leakscope.model import ThreadKey


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
    # Objects that each brought the same two or more threads, none of which ran again, are alike;
    # so many of them are no chance.
    min_moments_alike: int = 4
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
    # Births alone: more threads, over ten minutes or more, since no request takes that long and no
    # pool takes that long to fill.
    min_births: int = 16
    births_span_s: float = 600.0
    # Where there is but one look to say it by, a shorter time does if births reach back to the
    # first quarter of the process's life (then nothing of the kind ever ended) and there are more
    # than pools commonly have: anyio's default is 40, an executor's at most 32.
    one_look: bool = False
    births_reach: float = 0.25
    more_than_a_pool: int = 64
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
