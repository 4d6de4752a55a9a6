"""What is known of a group when it is judged: values, no state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from leakscope.model import Frames, Parking, RunState, ThreadKey
from leakscope.stacks import Level


class Point(NamedTuple):
    """The size of a group from one moment on, until the next point."""

    elapsed_s: float
    size: int


class Left(NamedTuple):
    """A thread that left a group."""

    left_s: float
    age_s: float  # how long ago it had begun, as far as that is known
    ended: bool  # else it moved to another group


class Stay(NamedTuple):
    """A living thread in a group. A tuple: many are made at each look, and these are made fast."""

    key: ThreadKey
    name: str | None
    began_s: float  # when the thread began: when it was born, or else first seen
    born_s: float | None  # by the kernel
    from_start: bool  # it was there at the first look, so that its coming was not seen
    visits: int  # times that it came into this group
    looks: int
    ran_looks: int
    mean_rest_s: float  # between two runs, as far as looks tell; 0 where there was none
    rest_spread_s: float  # the standard deviation of these rests
    last_ran_s: float | None
    state: RunState
    running_share: float  # of all looks at it, how many found it running
    waiting_share: float  # of all looks at it, how many found it in a wait that its frames name
    cpu_ticks: int
    wait: str | None
    parking: Parking
    frames: Frames


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A group and its past, as far as it matters for a verdict."""

    id: str
    level: Level
    frames: Frames  # of the commonest stack in it
    first: int
    peak: int
    arrived: int
    departed: int
    born: int
    ended: int
    points: tuple[Point, ...]
    stays: tuple[Stay, ...]  # the oldest first
    left: tuple[Left, ...]  # the latest last
    began_s: float  # of the watch
    now_s: float
    looks: int
    counters_known: bool  # the kernel's scheduling counters were read
    process_began_s: float | None  # when its oldest thread was born

    @property
    def watched_s(self) -> float:
        """For how long this watch has been looking."""
        return self.now_s - self.began_s

    @property
    def interval_s(self) -> float:
        """The mean time between two looks; 0 after only one."""
        return self.watched_s / (self.looks - 1) if self.looks > 1 else 0.0

    @property
    def size(self) -> int:
        """How many threads are in it now."""
        return len(self.stays)


def common_wait(stays: Iterable[Stay]) -> str | None:
    """What most of these threads wait for, of those of which that is known."""
    waits = [stay.wait for stay in stays if stay.wait]
    return max(sorted(set(waits)), key=waits.count) if waits else None
