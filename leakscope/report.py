"""The result of looking: one value that every format renders and every exit status follows from."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from leakscope.facts import Point, Stay
from leakscope.leaks import Cause, Culprit, Leak
from leakscope.limits import Deadline, Limit, ThreadCost
from leakscope.model import Frame, Frames, Target
from leakscope.policy import LEAKS, Trend, Verdict
from leakscope.stacks import Level


class Kind(StrEnum):
    """What was asked for."""

    DUMP = "dump"
    SUMMARY = "summary"


class Overall(StrEnum):
    """The verdict of a process: that of its worst group."""

    LEAKING = "leaking"
    GROWING = "growing"
    CLEAN = "clean"
    UNKNOWN = "unknown"


class EndedBy(StrEnum):
    """Why a watch ended."""

    DURATION = "duration"
    COUNT = "count"
    SIGNAL = "signal"
    TARGET_EXITED = "target exited"
    EXEC = "target became another program"
    LEAK = "leak"
    ONE_SAMPLE = "one sample"
    RECORDING = "end of recording"
    NOT_YET = "not ended"  # what a watch has found so far


@dataclass(frozen=True, slots=True)
class Cost:
    """What looking has taken."""

    dumps_cpu_s: float  # CPU time of all calls of py-spy
    dumps: int  # these calls
    failed: int  # of them
    ticks: int  # looks at the kernel's counters
    longest_pause_s: float  # for which the target was stopped at most; 0 without --blocking
    own_cpu_s: float = 0.0  # CPU time of leakscope itself

    def plus(self, other: Cost) -> Cost:
        """What looking at two processes has taken."""
        return Cost(
            self.dumps_cpu_s + other.dumps_cpu_s,
            self.dumps + other.dumps,
            self.failed + other.failed,
            self.ticks + other.ticks,
            max(self.longest_pause_s, other.longest_pause_s),
            self.own_cpu_s + other.own_cpu_s,
        )


NO_COST = Cost(0.0, 0, 0, 0, 0.0)


@dataclass(frozen=True, slots=True)
class Group:
    """A group of threads with the same stack, as it is reported."""

    id: str
    level: Level
    verdict: Verdict
    frames: Frames  # innermost first, of its commonest stack
    site: Frame | None
    entry: Frame | None
    wait: str | None
    blocked: int
    running: int
    unknown: int
    first: int
    peak: int
    arrived: int
    departed: int
    born: int
    ended: int
    points: tuple[Point, ...]
    stays: tuple[Stay, ...]

    @property
    def size(self) -> int:
        """How many threads are in it now."""
        return len(self.stays)

    @property
    def by_process(self) -> dict[int, int]:
        """How many of its threads are in which process, by PID: those that have any, most first."""
        return dict(Counter(stay.key.pid for stay in self.stays).most_common())

    def rate_per_min(self, observed_s: float) -> float | None:
        """At what rate a leak grows; of any other group, what its size has changed by.

        None where nothing tells: after one look of a group that is no leak.
        """
        if self.verdict.trend in LEAKS and self.verdict.rate_per_min is not None:
            return self.verdict.rate_per_min
        return 60 * (self.size - self.first) / observed_s if observed_s > 0 else None


class Known(NamedTuple):
    """A leak, or a group that grows, which a saved report had already; it is no faster now."""

    id: str
    groups: tuple[str, ...]  # ids; of a group its own
    trend: Trend
    size: int  # threads that leaked, or that the group has
    rate_per_min: float
    arrivals: int  # that the rate was counted from
    rate_then_per_min: float | None  # None where that report does not tell
    arrivals_then: int | None  # that that rate was counted from
    since_at: float | None  # Unix seconds
    wait: str | None
    site: Frame | None
    why: str  # it is held to be known: a whole sentence
    # Of a leak, as it has them when no baseline knows it.
    evidence: tuple[str, ...] = ()
    cause: Cause | None = None
    culprit: Culprit | None = None


class Member(NamedTuple):
    """One process of those that were looked at."""

    target: Target
    threads: int | None  # in its last sample
    os_threads: int | None
    verdict: Overall
    ended_s: float | None = None  # when it had ended; None if it was watched to the last


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found."""

    kind: Kind
    targets: tuple[Target, ...]
    began_at: float
    ended_at: float
    ended_by: EndedBy
    observed_s: float
    interval_s: float | None
    samples: int
    missed: int
    tries: int
    threads: int | None  # in the last sample
    os_threads: int | None
    level: Level  # of the groups
    verdict: Overall
    noticeable_per_min: float | None  # the slowest leak that could have been noticed
    not_seen: tuple[str, ...]
    leaks: tuple[Leak, ...]
    groups: tuple[Group, ...]  # biggest first; those that a leak names are always among them
    total_points: tuple[Point, ...]
    now_s: float
    deadline: Deadline | None = None  # the limit that the leaks will hit first
    thread_cost: ThreadCost | None = None
    nearest_limit: Limit | None = None  # of which the greatest part is used, leak or not
    native_grown: int = 0  # threads that are not Python's, more than at first
    cost: Cost | None = None  # None where nothing was spent: of a recording
    made_by: tuple[str, ...] = ()  # the command line of leakscope
    known: tuple[Known, ...] = ()  # what a baseline had already, and is not among the leaks
    all_left_out: bool = False  # every group, by --ignore or --ignore-file: nothing was judged
    several: tuple[Member, ...] = ()  # what each process came to, where more than one was asked for

    def knows(self, id_: str) -> bool:
        """Whether the group with this id is one that a baseline had already."""
        return any(id_ in known.groups for known in self.known)

    @property
    def members(self) -> tuple[Member, ...]:
        """What each process came to."""
        if self.several:
            return self.several
        alone = len(self.targets) == 1
        return tuple(
            Member(
                target,
                self.threads if alone else None,
                self.os_threads if alone else None,
                self.verdict,
            )
            for target in self.targets
        )
