"""What comes in when several processes are watched: who joins, what is seen of each, who ends."""

from __future__ import annotations

from typing import NamedTuple

from leakscope.limits import Resources
from leakscope.model import Changes, Missed, Snapshot, Target, Tick


class Joined(NamedTuple):
    """A process is watched from now on, under a number that no other one gets."""

    number: int
    target: Target
    from_start: bool  # it was there in the first round


class Of(NamedTuple):
    """What was seen of the process with this number."""

    number: int
    look: Changes | Snapshot | Tick | Missed | Resources


class Ended(NamedTuple):
    """The process with this number is no more."""

    number: int
    elapsed_s: float


class LeftOut(NamedTuple):
    """What belongs to the processes and is not looked at, from now on: a line each."""

    lines: tuple[str, ...]


Event = Joined | Of | Ended | LeftOut
