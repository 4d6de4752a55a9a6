"""Values to JSON, in the shape that `schema/report-1.0.json` states. Pure: values in, text out.

What is unknown is null, and never left out. Times are ISO 8601 UTC, spans of time are seconds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from leakscope import __version__
from leakscope.facts import Stay
from leakscope.leaks import Leak
from leakscope.limits import Deadline, ThreadCost
from leakscope.model import Frame, Missed, Target
from leakscope.policy import Trend
from leakscope.report import Cost, Group, Known, Member, Report
from leakscope.stacks import Level

if TYPE_CHECKING:
    from leakscope.checkup import Checkup
    from leakscope.diffing import Change, Diff
    from leakscope.processes import ProcessFacts
    from leakscope.ranking import Ranked, Ranking

SCHEMA_VERSION = "1.0"

Document = dict[str, Any]

_SECONDS_DIGITS = 3
_RATE_DIGITS = 2


def encode(document: Mapping[str, Any]) -> str:
    """A document as one line of JSON, without the line's end.

    It is pure ASCII: no name out of the target reaches a terminal as an escape sequence or as
    right-to-left text, and a name that is not valid Unicode cannot spoil the output.
    """
    return json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def schema() -> Document:
    """The JSON Schema (draft 2020-12) of every document that is made here."""
    from importlib import resources

    file = resources.files("leakscope") / "schema" / f"report-{SCHEMA_VERSION}.json"
    document: Document = json.loads(file.read_text(encoding="utf-8"))
    return document


# --- whole documents ------------------------------------------------------------------------------


def report_document(report: Report) -> Document:
    """The report of a dump, or the summary that a watch ends with."""
    looked = report.samples + report.missed > 0
    return _headed(
        report.kind.value,
        leakscope=__version__,
        targets=[_member(member, report) for member in report.members],
        began_at=_moment(report.began_at if looked else None),
        ended_at=_moment(report.ended_at if looked else None),
        ended_by=report.ended_by.value,
        observed_s=_seconds(report.observed_s),
        interval_s=_seconds(report.interval_s),
        samples=report.samples,
        missed=report.missed,
        tries=report.tries,
        level=report.level.value,
        verdict=report.verdict.value,
        noticeable_per_min=_rate(report.noticeable_per_min),
        deadline=_deadline(report.deadline),
        thread_cost=_thread_cost(report.thread_cost),
        cost=_cost(report.cost),
        made_by=list(report.made_by) or None,
        not_seen=list(report.not_seen),
        leaks=[_leak(leak) for leak in report.leaks],
        known=[_known(known) for known in report.known],
        groups=[_group(group, report) for group in report.groups],
    )


def start_document(
    targets: Iterable[Target],
    *,
    at: float,
    interval_s: float | None,
    level: Level = Level.FUNCTION,
) -> Document:
    """The first line of a watch: what is watched, since when (Unix s), how often, grouped how."""
    return _headed(
        "start",
        leakscope=__version__,
        targets=[_target(target) for target in targets],
        began_at=_moment(at),
        interval_s=_seconds(interval_s),
        level=level.value,
    )


def sample_document(
    *,
    taken_at: float,
    elapsed_s: float,
    threads: int,
    os_threads: int | None,
    by_process: Mapping[int, int],
    groups: Mapping[str, int],
    tries: int,
) -> Document:
    """One sample: its threads, also by PID, and the size of each group that has any, by id."""
    return _headed(
        "sample",
        at=_moment(taken_at),
        elapsed_s=_seconds(elapsed_s),
        threads=threads,
        os_threads=os_threads,
        tries=tries,
        by_process=_by_process(by_process),
        # Empty groups pile up in a long watch; a line must not grow with them.
        groups={id_: size for id_, size in groups.items() if size},
    )


def missed_document(missed: Missed, pid: int) -> Document:
    """A sample of a process that could not be had, and why."""
    return _headed(
        "missed",
        at=_moment(missed.taken_at),
        elapsed_s=_seconds(missed.elapsed_s),
        pid=pid,
        reason=missed.reason,
        tries=missed.tries,
    )


def change_document(
    *,
    at: float,
    elapsed_s: float,
    group_id: str,
    was: Trend | None,
    trend: Trend,
    count: int,
    site: Frame | None,
) -> Document:
    """A new verdict of a group; `was` is None for a group that was not there before."""
    return _headed(
        "change",
        at=_moment(at),
        elapsed_s=_seconds(elapsed_s),
        id=group_id,
        was=None if was is None else was.value,
        verdict=trend.value,
        count=count,
        site=_frame_or_null(site),
    )


def leak_document(leak: Leak, report: Report) -> Document:
    """A leak that has just been found, and in which processes."""
    found = leak.by_process
    return _headed(
        "leak",
        leakscope=__version__,
        at=_moment(report.ended_at),
        elapsed_s=_seconds(report.observed_s),
        targets=[_target(target) for target in report.targets if target.pid in found],
        leak=_leak(leak),
    )


def processes_document(processes: Iterable[ProcessFacts]) -> Document:
    """The Python processes that can be looked at, in the order given."""
    return _headed(
        "processes",
        leakscope=__version__,
        processes=[
            {
                "pid": process.pid,
                "python": process.python,
                "threads": process.threads,
                "age_s": _age(process.age_s),
                "command": list(process.command) or None,
                "user": process.user,
            }
            for process in processes
        ],
    )


def diff_document(diff: Diff) -> Document:
    """What has changed between two looks."""
    return _headed(
        "diff",
        leakscope=__version__,
        level=diff.level.value,
        before={"file": diff.before, "threads": diff.threads_before},
        after={"file": diff.after, "threads": diff.threads_after},
        min_growth=diff.min_growth,
        has_grown=diff.has_grown,
        notes=list(diff.notes),
        changes=[_change(change) for change in diff.changes],
    )


def rank_document(ranking: Ranking) -> Document:
    """The leaks of many reports, merged."""
    return _headed(
        "rank",
        leakscope=__version__,
        reports=ranking.reports,
        unreadable=ranking.unreadable,
        other_lines=ranking.other_lines,
        instances=ranking.instances,
        instances_hit=ranking.instances_hit,
        verdicts=dict(sorted(ranking.verdicts.items())),
        leaks=[_ranked(leak) for leak in ranking.leaks],
    )


def doctor_document(checkup: Checkup) -> Document:
    """What can and can't be seen of a process."""
    return _headed(
        "doctor",
        leakscope=__version__,
        target={
            **_target(checkup.target),
            "threads": checkup.threads,
            "os_threads": checkup.os_threads,
        },
        at=_moment(checkup.began_at),
        exit_status=checkup.exit_status,
        summary=checkup.summary,
        dump_s=_seconds(checkup.dump_s),
        blocking_pause_s=_seconds(checkup.blocking_pause_s),
        checks=[
            {
                "name": check.name,
                "status": check.status.value,
                "found": check.found,
                "advice": check.advice.splitlines(),
            }
            for check in checkup.checks
        ],
    )


def _headed(type_: str, **fields: Any) -> Document:
    """The type stands first, so that a reader of lines can tell them apart by their beginning."""
    return {"type": type_, "schema_version": SCHEMA_VERSION, **fields}


# --- parts of documents ---------------------------------------------------------------------------


def _member(member: Member, report: Report) -> Document:
    ended_at = None
    if member.ended_s is not None:
        # A report knows one moment on both clocks: that of its last sample.
        ended_at = report.ended_at + member.ended_s - report.now_s
    return {
        **_target(member.target),
        "threads": member.threads,
        "os_threads": member.os_threads,
        "verdict": member.verdict.value,
        "ended_at": _moment(ended_at),
    }


def _target(target: Target) -> Document:
    return {
        "pid": target.pid,
        "started_at": _moment(target.started_at),
        "command": list(target.command) or None,
        "python": target.python,
        "threads": None,
        "os_threads": None,
        "verdict": None,
        "ended_at": None,
    }


def _by_process(counts: Mapping[int, int]) -> Document:
    return {str(pid): count for pid, count in counts.items()}


def _deadline(deadline: Deadline | None) -> Document | None:
    if deadline is None:
        return None
    return {
        "limit": deadline.limit.name,
        "used": deadline.limit.used,
        "allowed": deadline.limit.allowed,
        "seconds": _seconds(deadline.seconds),
        "earliest_s": _seconds(deadline.earliest_s),
        "latest_s": _seconds(deadline.latest_s),
    }


def _cost(cost: Cost | None) -> Document | None:
    if cost is None:
        return None
    return {
        "cpu_s": _seconds(cost.own_cpu_s + cost.dumps_cpu_s),
        "dumps_cpu_s": _seconds(cost.dumps_cpu_s),
        "dumps": cost.dumps,
        "failed": cost.failed,
        "ticks": cost.ticks,
        "longest_pause_s": _seconds(cost.longest_pause_s),
    }


def _thread_cost(cost: ThreadCost | None) -> Document:
    return {
        "memory_bytes": _rounded(cost.memory_bytes if cost else None, 0),
        "descriptors": _rounded(cost.descriptors if cost else None, 2),
    }


def _leak(leak: Leak) -> Document:
    return {
        "id": leak.id,
        "verdict": leak.trend.value,
        "groups": list(leak.groups),
        "tids": [key.tid for key in leak.leaked if key.tid is not None],
        "count": len(leak.leaked),
        "by_process": _by_process(leak.by_process),
        "rate_per_min": _rate(leak.rate_per_min),
        "rate_basis": leak.rate_basis,
        "wait": leak.wait,
        "site": _frame_or_null(leak.site),
        "entry": _frame_or_null(leak.entry),
        "evidence": list(leak.evidence),
        "cause": None if leak.cause is None else leak.cause._asdict(),
        "culprit": None if leak.culprit is None else leak.culprit._asdict(),
    }


def _known(known: Known) -> Document:
    return {
        "id": known.id,
        "groups": list(known.groups),
        "verdict": known.trend.value,
        "count": known.size,
        "rate_per_min": _rate(known.rate_per_min),
        "arrivals": known.arrivals,
        "rate_then_per_min": _rate(known.rate_then_per_min),
        "arrivals_then": known.arrivals_then,
        "since": _moment(known.since_at),
        "wait": known.wait,
        "site": _frame_or_null(known.site),
        "why": known.why,
        "evidence": list(known.evidence),
        "cause": None if known.cause is None else known.cause._asdict(),
        "culprit": None if known.culprit is None else known.culprit._asdict(),
    }


def _ranked(leak: Ranked) -> Document:
    return {
        "id": leak.id,
        "verdict": leak.verdict,
        "rms": _rate(leak.rms),
        "instances": leak.instances,
        "total": leak.total,
        "worst": {
            "count": leak.worst.count,
            "pid": leak.worst.pid,
            "where": leak.worst.where,
        },
        "rate_per_min": _rate(leak.rate_per_min),
        "rate_unknown": leak.rate_unknown,
        "first_seen": leak.first_seen,
        "last_seen": leak.last_seen,
        "wait": leak.wait,
        "site": _frame_or_null(leak.site),
        "cause": None if leak.cause is None else leak.cause._asdict(),
        "culprit": None if leak.culprit is None else leak.culprit._asdict(),
    }


def _group(group: Group, report: Report) -> Document:
    return {
        "id": group.id,
        "level": group.level.value,
        "verdict": group.verdict.trend.value,
        "evidence": list(group.verdict.evidence),
        "blocked": group.blocked,
        "running": group.running,
        "unknown": group.unknown,
        "wait": group.wait,
        "count": group.size,
        "by_process": _by_process(group.by_process),
        "first": group.first,
        "peak": group.peak,
        "arrived": group.arrived,
        "departed": group.departed,
        "born": group.born,
        "ended": group.ended,
        "rate_per_min": _rate(group.rate_per_min(report.observed_s)),
        "points": [[_seconds(point.elapsed_s), point.size] for point in group.points],
        "frames": [_frame(frame) for frame in group.frames],
        "site": _frame_or_null(group.site),
        "entry": _frame_or_null(group.entry),
        "threads": [_thread(stay, report.now_s) for stay in group.stays],
    }


def _change(change: Change) -> Document:
    return {
        "id": change.id,
        "kind": change.kind.value,
        "before": change.before,
        "after": change.after,
        "growth": change.growth,
        "wait": change.wait,
        "site": _frame_or_null(change.site),
        "frames": [_frame(frame) for frame in change.frames],
    }


def _thread(stay: Stay, now_s: float) -> Document:
    return {
        "pid": stay.key.pid,
        "tid": stay.key.tid,
        "name": stay.name,
        "age_s": _age(None if stay.born_s is None else now_s - stay.born_s),
        "state": stay.state.value,
        "wait": stay.wait,
    }


def _frame(frame: Frame) -> Document:
    return {
        "function": frame.function,
        "filename": frame.filename,
        "line": frame.line if frame.line > 0 else None,
    }


def _frame_or_null(frame: Frame | None) -> Document | None:
    return None if frame is None else _frame(frame)


# --- numbers --------------------------------------------------------------------------------------


def _moment(at: float | None) -> str | None:
    """Unix seconds as ISO 8601 UTC, to the millisecond: `2026-03-01T12:00:00.250Z`."""
    if at is None:
        return None
    try:
        moment = datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):  # NaN, or beyond the calendar
        return None
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _seconds(value: float | None) -> float | None:
    return _rounded(value, _SECONDS_DIGITS)


def _age(value: float | None) -> float | None:
    # Births are known in steps of 10 ms: a thread just born can seem to come from the future.
    return _seconds(None if value is None or math.isnan(value) else max(value, 0.0))


def _rate(value: float | None) -> float | None:
    return _rounded(value, _RATE_DIGITS)


def _rounded(value: float | None, digits: int) -> float | None:
    """JSON has neither NaN nor infinity, and a number that is none is not known."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), digits) + 0.0  # without the sign of -0.0
