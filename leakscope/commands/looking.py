"""From a PID to a report: one look, or a watch with each sample handed on as it comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from leakscope.changes import Differ
from leakscope.engine import Engine, View
from leakscope.limits import Resources
from leakscope.model import Sample, Snapshot, Target
from leakscope.policy import DEFAULT_POLICY
from leakscope.report import EndedBy, Kind, Overall, Report
from leakscope.sources.limits import limits_of, usage_of
from leakscope.sources.live import LiveSource, Schedule
from leakscope.sources.process_list import target
from leakscope.sources.recording import Recorder
from leakscope.sources.stopping import Stop, stopped_by_signals
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


def look_once(pid: int, view: View, *, blocking: bool) -> Report:
    """One sample of a process. Raises LeakscopeError when it cannot be had."""
    stop = Stop(pid)
    source = LiveSource(pid, Schedule(count=1), stop, blocking=blocking)
    engine = Engine(view, replace(DEFAULT_POLICY, one_look=True))
    for sample in source.samples():
        engine.observe(sample)
    stop.close()
    seen = target(pid, source.clock.zero_at)
    return engine.report(Kind.DUMP, (seen,), EndedBy.ONE_SAMPLE)


# Limits and what is used of them: a few milliseconds a reading, and slow to change.
RESOURCES_EACH_S = 60.0


def _take_resources(engine: Engine, recorder: Recorder | None, pid: int) -> None:
    """Read what the target takes up and may take, and hand it on; one that ended takes nothing."""
    usage = usage_of(pid, engine.now_s, engine.threads)
    if usage.rss_bytes is None:
        return
    resources = Resources(usage, limits_of(pid))
    engine.observe(resources)
    if recorder:
        recorder.record(resources)


def watch(
    pid: int,
    view: View,
    schedule: Schedule,
    on_sample: Callable[[Watched], None],
    *,
    blocking: bool,
    record: str | None = None,
    exit_on_leak: bool = False,
) -> Report:
    """Samples until it is time to end, handing on each; the final report.

    Raises LeakscopeError when not one sample could be had.
    """
    stop = Stop(pid)
    with stopped_by_signals(stop):
        source = LiveSource(pid, schedule, stop, blocking=blocking)
        engine, differ = Engine(view), Differ()
        seen: Target | None = None
        recorder: Recorder | None = None
        resources_due_s = 0.0
        for sample in source.samples():
            # Not before the first sample: why that failed is py-spy's to say.
            seen = seen or target(pid, source.clock.zero_at)
            look = differ.changes(sample) if isinstance(sample, Snapshot) else sample
            if record and recorder is None:
                recorder = Recorder(record, Head(seen, schedule.interval_s))
            if recorder:
                recorder.record(look)
            engine.observe(look)
            if sample.elapsed_s >= resources_due_s:
                resources_due_s = sample.elapsed_s + RESOURCES_EACH_S
                _take_resources(engine, recorder, pid)
            on_sample(Watched(engine, seen, sample, schedule))
            if exit_on_leak and engine.findings().verdict is Overall.LEAKING:
                source.ended_by = EndedBy.LEAK
                break
    stop.close()
    _take_resources(engine, recorder, pid)
    if recorder:
        recorder.close(source.ended_by.value)
    return engine.report(Kind.SUMMARY, (seen or Target(pid),), source.ended_by, schedule.interval_s)
