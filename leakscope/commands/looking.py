"""From a PID to a report: one look, or a watch with each round handed on as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from leakscope.changes import Differ
from leakscope.commands.invocation import made_by
from leakscope.engine import View
from leakscope.errors import LeakscopeError, UsageProblem
from leakscope.limits import Resources
from leakscope.members import Members
from leakscope.model import Missed, Snapshot, Tick
from leakscope.output import say
from leakscope.policy import DEFAULT_POLICY
from leakscope.redaction import Redaction
from leakscope.report import Cost, EndedBy, Kind, Overall, Report
from leakscope.rounds import Ended, Event, Joined, LeftOut, Of
from leakscope.sources.live import LiveSource
from leakscope.sources.stopping import Stop
from leakscope.sources.target import target
from leakscope.sources.timetable import Schedule

if TYPE_CHECKING:
    from leakscope.sources.budget import Budget
    from leakscope.sources.pyspy import PySpy
    from leakscope.sources.recording import Recorder


class Asked(NamedTuple):
    """What is to be looked at, and how."""

    pids: tuple[int, ...]
    children: bool = False  # and all that descends from them
    blocking: bool = False
    max_share: float | None = None  # of one core, for all; None reads all stacks at each sample
    redaction: Redaction = Redaction.SECRETS
    is_started: bool = False  # by leakscope, just now: there may be no Python yet, or ever

    @property
    def may_be_several(self) -> bool:
        """Whether it is not just one process."""
        return self.children or len(self.pids) > 1


class Watched(NamedTuple):
    """A watch after one of its rounds."""

    members: Members
    events: tuple[Event, ...]
    schedule: Schedule
    finished: Callable[[Report], Report]  # with what made it, and what that took until now
    excuse: Callable[[float], None]  # CPU time that showing has taken, which the watch need not pay

    def report(self, ended_by: EndedBy = EndedBy.NOT_YET) -> Report:
        """The report as of this round."""
        return self.finished(self.members.report(Kind.SUMMARY, ended_by, self.schedule.interval_s))

    @property
    def samples(self) -> tuple[Snapshot | Tick, ...]:
        """The samples of this round, a process each."""
        looks = (event.look for event in self.events if isinstance(event, Of))
        return tuple(look for look in looks if isinstance(look, Snapshot | Tick))

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

    @property
    def cost(self) -> Cost: ...

    def rounds(self) -> Iterator[tuple[Event, ...]]: ...

    def left_out(self) -> tuple[str, ...]: ...

    def close(self) -> None: ...


class _Alone:
    """One process as a source of rounds."""

    def __init__(self, source: LiveSource, redaction: Redaction) -> None:
        self._source = source
        self._redaction = redaction
        self.ended_by = source.ended_by

    @property
    def cost(self) -> Cost:
        return self._source.cost

    def rounds(self) -> Iterator[tuple[Event, ...]]:
        has_joined = False
        for sample in self._source.samples():
            if has_joined:
                yield (Of(0, sample),)
                continue
            # Not before the first sample: why that failed is py-spy's to say.
            seen = target(self._source.pid, self._source.clock.zero_at, self._redaction)
            yield Joined(0, seen, from_start=True), Of(0, sample)
            has_joined = True
        self.ended_by = self._source.ended_by

    def left_out(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        self._source.close()


def _source(
    asked: Asked,
    schedule: Schedule,
    stop: Stop,
    budget: Budget | None = None,
    pyspy: PySpy | None = None,
) -> _Source:
    if not asked.may_be_several:
        (pid,) = asked.pids
        return _Alone(
            LiveSource(pid, schedule, stop, pyspy=pyspy, blocking=asked.blocking, budget=budget),
            asked.redaction,
        )
    from leakscope.sources.rounds import Rounds
    from leakscope.sources.tree import SETTLED_S, STARTED_S, Tree, Trees

    settled_s = STARTED_S if asked.is_started else SETTLED_S
    if schedule.count == 1 and not asked.is_started:
        settled_s = 0.0  # there is no next round in which to look at those that are too new now
    trees = [
        Tree(pid, settled_s, is_started=asked.is_started, root_only=not asked.children)
        for pid in asked.pids
    ]
    return Rounds(
        trees[0] if len(trees) == 1 else Trees(trees),
        schedule,
        stop,
        blocking=asked.blocking,
        budget=budget,
        redaction=asked.redaction,
        may_be_none=asked.is_started,
        # What cannot be looked at is known now, and the program may go on for hours.
        on_refusal=_say_refusal if asked.is_started else None,
        begins_after_s=STARTED_S if asked.is_started else 0.0,
    )


def _say_refusal(why_not: LeakscopeError) -> None:
    say(f"{why_not}; the program goes on")


def _not_counted(_cpu_s: float) -> None:
    """Where there is no budget, showing takes nothing of it."""


def _budget(asked: Asked) -> Budget | None:
    if asked.max_share is None:
        return None
    from leakscope.sources.budget import Budget

    return Budget(asked.max_share)


def look_once(asked: Asked, view: View, pyspy: PySpy | None = None) -> Report:
    """One sample of each process, by a py-spy that may be at work already at the only one.

    Raises LeakscopeError when not one can be had.
    """
    stop = Stop(*asked.pids)
    members = Members(view, replace(DEFAULT_POLICY, one_look=True))
    intake = _Intake(members, resources_each_s=None)
    source = _source(asked, Schedule(count=1), stop, pyspy=pyspy)
    try:
        for events in source.rounds():
            intake.take(events)
        if members.verdict is not Overall.UNKNOWN or members.is_blind:
            intake.take_resources()  # nothing else runs into a limit
    finally:
        source.close()
        stop.close()
    return _finished(members.report(Kind.DUMP, EndedBy.ONE_SAMPLE), asked, source)


def _finished(report: Report, asked: Asked, source: _Source) -> Report:
    """The report with what made it, and what that took of this process since it began."""
    cost = replace(source.cost, own_cpu_s=time.process_time())
    return replace(report, cost=cost, made_by=made_by(asked.redaction))


class _Intake:
    """Hands what comes in to the engines, and to the recorder if there is one."""

    # Limits and what is used of them: a few milliseconds a reading, and slow to change.
    _RESOURCES_EACH_S = 60.0

    def __init__(
        self,
        members: Members,
        recorder: Recorder | None = None,
        resources_each_s: float | None = _RESOURCES_EACH_S,
    ) -> None:
        self._members = members
        self._recorder = recorder
        self._said_lost = False
        self._each_s = resources_each_s
        self._differs: dict[int, Differ] = {}
        self._resources_due_s: dict[int, float] = {}

    def take(self, events: tuple[Event, ...]) -> None:
        """A round."""
        for event in events:
            if isinstance(event, Joined):
                self._differs[event.number] = Differ()
                self._resources_due_s[event.number] = 0.0
            if isinstance(event, Of) and isinstance(event.look, Snapshot | Tick):
                changes = self._differs[event.number].changes(event.look)
                self._take(Of(event.number, changes))
            else:
                self._take(event)
            if isinstance(event, Ended):
                del self._differs[event.number], self._resources_due_s[event.number]
            if isinstance(event, Of):
                self._take_resources_if_due(event)

    def _take(self, event: Event) -> None:
        self._members.observe(event)
        if self._recorder:
            self._recorder.record_event(event)
            self._say_lost()

    def _take_resources_if_due(self, look: Of) -> None:
        number, now_s = look.number, look.look.elapsed_s
        if self._each_s is not None and now_s >= self._resources_due_s[number]:
            self._resources_due_s[number] = now_s + self._each_s
            self._take_resources_of(number)

    def take_resources(self) -> None:
        """What each process takes up and may take."""
        for number in self._members.engines():
            self._take_resources_of(number)

    def _take_resources_of(self, number: int) -> None:
        """What a process takes up and may take; one that has ended takes nothing."""
        from leakscope.sources.limits import limits_of, usage_of

        pid, engine = self._members.engines()[number]
        usage = usage_of(pid, engine.now_s, engine.threads)
        if usage.rss_bytes is not None:
            self._take(Of(number, Resources(usage, limits_of(pid))))

    def close(self, ended_by: EndedBy) -> None:
        """The end of the watch."""
        self.take_resources()
        if self._recorder:
            self._recorder.close(ended_by.value)
            self._say_lost()

    def _say_lost(self) -> None:
        if self._recorder and self._recorder.lost and not self._said_lost:
            self._said_lost = True
            say(f"the recording ends here, the watch goes on: {self._recorder.lost}")


def watch(
    asked: Asked,
    view: View,
    schedule: Schedule,
    stop: Stop,
    on_round: Callable[[Watched], None],
    *,
    recorder: Recorder | None = None,
    exit_on_leak: bool = False,
) -> Report:
    """Samples until it is time to end, handing on each round; the final report.

    Raises LeakscopeError when not one sample could be had.
    """
    members = Members(view, replace(DEFAULT_POLICY, one_look=schedule.count == 1))
    intake = _Intake(members, recorder)
    budget = _budget(asked)
    source = _source(asked, schedule, stop, budget)
    excuse = budget.excuse if budget else _not_counted
    finished = partial(_finished, asked=asked, source=source)
    ended_by: EndedBy | None = None
    has_begun = False
    try:
        for events in source.rounds():
            if recorder and not has_begun:
                # Not before the first round: a watch that sees nothing leaves no file.
                _begin(recorder, asked, schedule, events)
            has_begun = True
            intake.take(events)
            on_round(Watched(members, events, schedule, finished, excuse))
            if exit_on_leak and members.verdict is Overall.LEAKING:
                ended_by = EndedBy.LEAK
                break
    finally:
        source.close()
    ended_by = ended_by or source.ended_by
    # Of rounds in which nothing could be looked at, not even this was told.
    left_out = LeftOut(source.left_out() or members.left_out)
    if not has_begun:
        members.observe(left_out)
    else:
        if left_out.lines != members.left_out:
            intake.take((left_out,))
        intake.close(ended_by)
    members.judge_anew()
    return finished(members.report(Kind.SUMMARY, ended_by, schedule.interval_s))


def _begin(recorder: Recorder, asked: Asked, schedule: Schedule, events: tuple[Event, ...]) -> None:
    if asked.may_be_several:
        from leakscope.tapes import HeadOfSeveral

        try:
            recorder.begin(HeadOfSeveral(schedule.interval_s))
        except UsageProblem as problem:
            if not asked.is_started:
                raise
            recorder.lost = str(problem)  # the program goes on, and is not to go unwatched
        return
    from leakscope.tape import Head

    (seen,) = (event.target for event in events if isinstance(event, Joined))
    recorder.begin(Head(seen, schedule.interval_s))
