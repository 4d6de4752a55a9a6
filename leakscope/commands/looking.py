"""From a PID to a report: one look, or a watch with each round handed on as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from leakscope.changes import Differ
from leakscope.engine import View
from leakscope.limits import Resources
from leakscope.members import Members
from leakscope.model import Missed, Snapshot
from leakscope.policy import DEFAULT_POLICY
from leakscope.report import EndedBy, Kind, Overall, Report
from leakscope.rounds import Ended, Event, Joined, Of
from leakscope.sources.limits import limits_of, usage_of
from leakscope.sources.live import LiveSource, Schedule
from leakscope.sources.process_list import target
from leakscope.sources.recording import Recorder
from leakscope.sources.rounds import Rounds
from leakscope.sources.stopping import Stop
from leakscope.sources.tree import Tree
from leakscope.tape import Head
from leakscope.tapes import HeadOfSeveral


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be looked at, and how."""

    pid: int
    children: bool = False  # and all that descends from it
    blocking: bool = False


@dataclass(frozen=True, slots=True)
class Watched:
    """A watch after one of its rounds."""

    members: Members
    events: tuple[Event, ...]
    schedule: Schedule

    def report(self, ended_by: EndedBy = EndedBy.ONE_SAMPLE) -> Report:
        """The report as of this round."""
        return self.members.report(Kind.SUMMARY, ended_by, self.schedule.interval_s)

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """The samples of this round, a process each."""
        looks = (event.look for event in self.events if isinstance(event, Of))
        return tuple(look for look in looks if isinstance(look, Snapshot))

    @property
    def missed(self) -> tuple[tuple[int, Missed], ...]:
        """The samples that could not be had, each with the PID of its process."""
        return tuple(
            (self.members.pid(event.number), event.look)
            for event in self.events
            if isinstance(event, Of) and isinstance(event.look, Missed)
        )


class _Source(Protocol):
    ended_by: EndedBy

    def rounds(self) -> Iterator[tuple[Event, ...]]: ...


class _Alone:
    """One process as a source of rounds."""

    def __init__(self, source: LiveSource) -> None:
        self._source = source
        self.ended_by = source.ended_by

    def rounds(self) -> Iterator[tuple[Event, ...]]:
        has_joined = False
        for sample in self._source.samples():
            if has_joined:
                yield (Of(0, sample),)
                continue
            # Not before the first sample: why that failed is py-spy's to say.
            seen = target(self._source.pid, self._source.clock.zero_at)
            yield Joined(0, seen, from_start=True), Of(0, sample)
            has_joined = True
        self.ended_by = self._source.ended_by


def _source(asked: Asked, schedule: Schedule, stop: Stop) -> _Source:
    if not asked.children:
        return _Alone(LiveSource(asked.pid, schedule, stop, blocking=asked.blocking))
    # One look has no next round in which to look at those that are too new now.
    tree = Tree(asked.pid, settled_s=0.0) if schedule.count == 1 else Tree(asked.pid)
    return Rounds(tree, schedule, stop, blocking=asked.blocking)


def look_once(asked: Asked, view: View) -> Report:
    """One sample of each process. Raises LeakscopeError when not one can be had."""
    stop = Stop(asked.pid)
    intake = _Intake(Members(view, replace(DEFAULT_POLICY, one_look=True)))
    for events in _source(asked, Schedule(count=1), stop).rounds():
        intake.take(events)
    stop.close()
    return intake.members.report(Kind.DUMP, EndedBy.ONE_SAMPLE)


class _Intake:
    """Hands what comes in to the engines, and to the recorder if there is one."""

    # Limits and what is used of them: a few milliseconds a reading, and slow to change.
    _RESOURCES_EACH_S = 60.0

    def __init__(self, members: Members, recorder: Recorder | None = None) -> None:
        self.members = members
        self._recorder = recorder
        self._differs: dict[int, Differ] = {}
        self._resources_due_s: dict[int, float] = {}

    def take(self, events: tuple[Event, ...]) -> None:
        """A round."""
        for event in events:
            if isinstance(event, Joined):
                self._differs[event.number] = Differ()
                self._resources_due_s[event.number] = 0.0
            if isinstance(event, Of) and isinstance(event.look, Snapshot):
                changes = self._differs[event.number].changes(event.look)
                self._take(Of(event.number, changes))
            else:
                self._take(event)
            if isinstance(event, Ended):
                del self._differs[event.number], self._resources_due_s[event.number]
            if isinstance(event, Of):
                self._take_resources_if_due(event)

    def _take(self, event: Event) -> None:
        self.members.observe(event)
        if self._recorder:
            self._recorder.record_event(event)

    def _take_resources_if_due(self, look: Of) -> None:
        number, now_s = look.number, look.look.elapsed_s
        if now_s >= self._resources_due_s[number]:
            self._resources_due_s[number] = now_s + self._RESOURCES_EACH_S
            self._take_resources(number)

    def _take_resources(self, number: int) -> None:
        """What a process takes up and may take; one that has ended takes nothing."""
        pid, engine = self.members.engines()[number]
        usage = usage_of(pid, engine.now_s, engine.threads)
        if usage.rss_bytes is not None:
            self._take(Of(number, Resources(usage, limits_of(pid))))

    def close(self, ended_by: EndedBy) -> None:
        """The end of the watch."""
        for number in self.members.engines():
            self._take_resources(number)
        if self._recorder:
            self._recorder.close(ended_by.value)


def watch(
    asked: Asked,
    view: View,
    schedule: Schedule,
    stop: Stop,
    on_round: Callable[[Watched], None],
    *,
    record: str | None = None,
    exit_on_leak: bool = False,
) -> Report:
    """Samples until it is time to end, handing on each round; the final report.

    Raises LeakscopeError when not one sample could be had.
    """
    source = _source(asked, schedule, stop)
    members = Members(view, replace(DEFAULT_POLICY, one_look=schedule.count == 1))
    intake: _Intake | None = None
    ended_by: EndedBy | None = None
    for events in source.rounds():
        if intake is None:
            # Not before the first round: a watch that sees nothing leaves no file.
            recorder = _recorder(record, asked, schedule, events) if record else None
            intake = _Intake(members, recorder)
        intake.take(events)
        on_round(Watched(members, events, schedule))
        if exit_on_leak and members.verdict is Overall.LEAKING:
            ended_by = EndedBy.LEAK
            break
    ended_by = ended_by or source.ended_by
    if intake:
        intake.close(ended_by)
    return members.report(Kind.SUMMARY, ended_by, schedule.interval_s)


def _recorder(path: str, asked: Asked, schedule: Schedule, events: tuple[Event, ...]) -> Recorder:
    if asked.children:
        return Recorder(path, HeadOfSeveral(schedule.interval_s))
    (seen,) = (event.target for event in events if isinstance(event, Joined))
    return Recorder(path, Head(seen, schedule.interval_s))
