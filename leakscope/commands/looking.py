"""From a PID to a report: one look, or a watch with each sample handed on as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import click

from leakscope.changes import Differ
from leakscope.engine import Engine, View
from leakscope.limits import Resources
from leakscope.model import Changes, Missed, Sample, Target
from leakscope.policy import DEFAULT_POLICY
from leakscope.printable import printable
from leakscope.redaction import Redaction
from leakscope.report import Cost, EndedBy, Kind, Overall, Report
from leakscope.sources.budget import Budget
from leakscope.sources.limits import limits_of, usage_of
from leakscope.sources.live import LiveSource, Schedule
from leakscope.sources.process_list import target
from leakscope.sources.pyspy import PySpy
from leakscope.sources.recording import Recorder
from leakscope.sources.stopping import Stop
from leakscope.tape import Head


@dataclass(frozen=True, slots=True)
class Watched:
    """A watch after one of its samples."""

    engine: Engine
    target: Target
    sample: Sample
    schedule: Schedule

    def report(self, ended_by: EndedBy = EndedBy.ONE_SAMPLE) -> Report:
        """The report as of this sample."""
        return self.engine.report(Kind.SUMMARY, (self.target,), ended_by, self.schedule.interval_s)


def look_once(pyspy: PySpy, view: View, redaction: Redaction) -> Report:
    """One sample of a process, by a py-spy that may be at work already.

    Raises LeakscopeError when it cannot be had.
    """
    pid = pyspy.pid
    stop = Stop(pid)
    source = LiveSource(pid, Schedule(count=1), stop, pyspy=pyspy)
    engine = Engine(view, replace(DEFAULT_POLICY, one_look=True))
    for sample in source.samples():
        engine.observe(sample)
    source.close()
    stop.close()
    _Intake(engine, None, pid).take_resources()
    seen = target(pid, source.clock.zero_at, redaction)
    return engine.report(Kind.DUMP, (seen,), EndedBy.ONE_SAMPLE, cost=_with_own(source.cost))


def _with_own(cost: Cost) -> Cost:
    """The cost, with what this process has taken since it began."""
    return replace(cost, own_cpu_s=time.process_time())


class _Intake:
    """Hands what comes in to the engine, and to the recorder if there is one."""

    # Limits and what is used of them: a few milliseconds a reading, and slow to change.
    _RESOURCES_EACH_S = 60.0

    def __init__(self, engine: Engine, recorder: Recorder | None, pid: int) -> None:
        self._engine = engine
        self._recorder = recorder
        self._said_lost = False
        self._pid = pid
        self._resources_due_s = 0.0

    def take(self, look: Changes | Missed | Resources) -> None:
        self._engine.observe(look)
        if self._recorder:
            self._recorder.record(look)
            self._say_lost()
        if look.elapsed_s >= self._resources_due_s:
            self._resources_due_s = look.elapsed_s + self._RESOURCES_EACH_S
            self.take_resources()

    def take_resources(self) -> None:
        """What the target takes up and may take; one that has ended takes nothing."""
        usage = usage_of(self._pid, self._engine.now_s, self._engine.threads)
        if usage.rss_bytes is not None:
            self.take(Resources(usage, limits_of(self._pid)))

    def close(self, ended_by: EndedBy) -> None:
        self.take_resources()
        if self._recorder:
            self._recorder.close(ended_by.value)
            self._say_lost()

    def _say_lost(self) -> None:
        if self._recorder and self._recorder.lost and not self._said_lost:
            self._said_lost = True
            path, why = self._recorder.path, self._recorder.lost
            click.echo(
                f"leakscope: the recording ends here, the watch goes on: "
                f"cannot write to {printable(path)}: {why}",
                err=True,
            )


def watch(
    pid: int,
    view: View,
    schedule: Schedule,
    stop: Stop,
    on_sample: Callable[[Watched], None],
    *,
    blocking: bool = False,
    budget: Budget | None = None,
    redaction: Redaction = Redaction.SECRETS,
    recorder: Recorder | None = None,
    exit_on_leak: bool = False,
) -> Report:
    """Samples until it is time to end, handing on each; the final report.

    `budget` is what dumps may take; without one, each sample is a dump. Raises LeakscopeError when
    not one sample could be had.
    """
    source = LiveSource(pid, schedule, stop, blocking=blocking, budget=budget)
    policy = replace(DEFAULT_POLICY, one_look=schedule.count == 1)
    engine, differ = Engine(view, policy), Differ()
    seen: Target | None = None
    intake: _Intake | None = None
    for sample in source.samples():
        if seen is None or intake is None:
            # Not before the first sample: why that failed is py-spy's to say.
            seen = target(pid, source.clock.zero_at, redaction)
            if recorder:
                recorder.begin(Head(seen, schedule.interval_s))
            intake = _Intake(engine, recorder, pid)
        intake.take(sample if isinstance(sample, Missed) else differ.changes(sample))
        on_sample(Watched(engine, seen, sample, schedule))
        if exit_on_leak and engine.findings().verdict is Overall.LEAKING:
            source.ended_by = EndedBy.LEAK
            break
    source.close()
    if intake:
        intake.close(source.ended_by)
    engine.judge_anew()
    return engine.report(
        Kind.SUMMARY,
        (seen or Target(pid),),
        source.ended_by,
        schedule.interval_s,
        _with_own(source.cost),
    )
