"""When what happened, as far as a report can tell: the times of an incident. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from leakscope.limits import deadline_sentence
from leakscope.report import Report

# Of a pool of workers, more would push aside what the timeline is for.
_MOST_PROCESSES = 3


class Event(NamedTuple):
    """One thing that happened, or will."""

    at: float  # Unix seconds
    what: str


def timeline(report: Report) -> tuple[Event, ...]:
    """From the start of the processes to the limit that is neared, the earliest first."""
    return tuple(sorted(_events(report), key=lambda event: event.at))


def _events(report: Report) -> Iterator[Event]:
    for target in report.targets[:_MOST_PROCESSES]:
        if target.began_s is not None:
            yield Event(_at(target.began_s, report), f"process {target.pid} started")
        elif target.started_at is not None:
            yield Event(target.started_at, f"process {target.pid} started")
    began_s = {stay.key: stay.began_s for group in report.groups for stay in group.stays}
    for number, leak in enumerate(report.leaks, 1):
        starts = [began_s[key] for key in leak.leaked if key in began_s]
        if starts:
            yield Event(
                _at(min(starts), report), f"leak {number}: the oldest of its threads started"
            )
            yield Event(_at(max(starts), report), f"leak {number}: the newest of them started")
    if report.total_points:
        first = report.total_points[0].size
        yield Event(report.began_at, f"leakscope began to look: {first} threads")
    if report.threads is not None and report.samples > 1:
        yield Event(report.ended_at, f"its last look: {report.threads} threads")
    deadline = report.deadline
    if deadline is not None:
        yield Event(report.ended_at + deadline.seconds, f"expected: {deadline_sentence(deadline)}")


def _at(elapsed_s: float, report: Report) -> float:
    """A report knows one moment on both clocks: that of its last sample."""
    return report.ended_at + elapsed_s - report.now_s
