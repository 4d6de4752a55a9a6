"""When the next sample is due, or the next round of them, and when a watch is over."""

from __future__ import annotations

from dataclasses import dataclass

from leakscope.report import EndedBy
from leakscope.sources.stopping import Clock, Stop

# The first round is late by as much as it took to start; a last one that is due that much after
# the end is still within the duration that was asked for.
_LATE_S = 0.1
# How long until it is tried again where there was nothing to look at yet, whatever the interval: to
# find that takes some milliseconds.
_SOON_S = 1.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to sample, and for how long."""

    interval_s: float = 1.0
    duration_s: float | None = None
    count: int | None = None


class Timetable:
    """Waits between rounds, as a schedule asks, on one clock for all that is watched."""

    def __init__(self, schedule: Schedule, stop: Stop, clock: Clock) -> None:
        self._schedule = schedule
        self._stop = stop
        self._clock = clock
        self._first_s = clock.elapsed_s()
        self._taken = 0

    def due_s(self) -> float:
        """When the next round is due: whole intervals from the first, so delays don't add up."""
        interval_s = self._schedule.interval_s
        done = int((self._clock.elapsed_s() - self._first_s) / interval_s)
        return self._first_s + (done + 1) * interval_s

    def is_last(self) -> bool:
        """Whether the round that is on now is known to be the last one."""
        count = self._schedule.count
        if count is not None and self._taken + 1 >= count:
            return True
        return self._is_after_the_end(self.due_s())

    def _is_after_the_end(self, due_s: float) -> bool:
        end_s = self._schedule.duration_s
        return end_s is not None and due_s > end_s + _LATE_S

    def wait(self, *, counts: bool = True) -> EndedBy | None:
        """Wait after a round until the next is due; the reason when there is to be none.

        A round that does not count is one more than the schedule asks for, and the next comes soon.
        """
        self._taken += counts
        schedule = self._schedule
        if schedule.count is not None and self._taken >= schedule.count:
            return EndedBy.COUNT
        due_s, end_s = self.due_s(), schedule.duration_s
        if not counts:
            due_s = min(due_s, self._clock.elapsed_s() + _SOON_S)
        is_last = self._is_after_the_end(due_s)
        until_s = end_s if is_last and end_s is not None else due_s
        self._stop.wait(until_s - self._clock.elapsed_s())
        if self._stop.signalled:
            return EndedBy.SIGNAL
        if self._stop.target_ended:
            return EndedBy.TARGET_EXITED
        return EndedBy.DURATION if is_last else None
