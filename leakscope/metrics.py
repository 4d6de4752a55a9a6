"""The figures of a report, by the naming rules of Prometheus and OpenMetrics. Pure.

What is told of a group is labelled by the group's id, which is the same on every machine: a sum by
`group` is a sum over a fleet. Where its threads are and what they wait for is on one series only,
and its verdict is a series of its own: when either changes, no other series breaks off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from leakscope import __version__
from leakscope.diffing import Diff
from leakscope.model import Frame
from leakscope.policy import LEAKS, Trend
from leakscope.printable import clipped, printable
from leakscope.report import Group, Report
from leakscope.stacks import portable_path, real_frames

# The worst and biggest; more would be noise on a dashboard, and each of them costs four series on
# every machine.
TOP_GROUPS = 20
# Worth a series, the worst first.
_SUSPECT = (*LEAKS, Trend.GROWING, Trend.WARMING)
# The verdict of a group that a baseline had already. It is there to be looked at, and no rule for
# alerts asks for it.
KNOWN = "known"
# Of a label: what is longer is no name that anyone has given, and is kept for weeks all the same.
_LONGEST_LABEL = 120


class Sample(NamedTuple):
    """A figure, and what it is of. The labels are printable, and of bounded length."""

    labels: Mapping[str, str]
    value: float


class Family(NamedTuple):
    """All figures of one meaning."""

    name: str  # with its unit; a counter's without `_total`
    kind: str  # gauge or counter
    help: str
    samples: tuple[Sample, ...]

    @property
    def sample_name(self) -> str:
        """What its samples are called."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


def families(report: Report) -> Iterator[Family]:
    """The figures of a report, in a fixed order; a family that has none is left out.

    Nothing is remembered from one report to the next, so a group that has ended has no figures.
    """
    yield from _told_by(_FAMILIES, _Told(report, _suspects(report)))


def without_process(report: Report | None = None) -> Iterator[Family]:
    """The figures while no process is looked at: before the first report, or after the last.

    Of the report that was the last, what it says of the looking; its threads and what became of
    them ended with the process.
    """
    yield _PROCESSES.family((Sample({}, 0),))
    if report:
        yield from _told_by(_OF_LOOKING, _Told(report, ()))


def _told_by(rows: Iterable[_Row], told: _Told) -> Iterator[Family]:
    for row in rows:
        samples = tuple(row.samples_of(told))
        if samples:
            yield row.family(samples)


def _alone(value: float | None) -> Iterator[Sample]:
    if value is not None:
        yield Sample({}, value)


# --- the process ----------------------------------------------------------------------------------


def _processes(told: _Told) -> Iterator[Sample]:
    yield from _alone(sum(member.ended_s is None for member in told.report.members))


def _unread(told: _Told) -> Iterator[Sample]:
    if told.report.samples:
        yield from _alone(sum(group.size for group in _shown(told.report) if _is_unread(group)))


def _leaked(told: _Told) -> Iterator[Sample]:
    yield from _alone(sum(len(leak.leaked) for leak in told.report.leaks))


def _limit(told: _Told) -> Iterator[Sample]:
    report = told.report
    # A limit that only leaks of a baseline near is no news either, and this figure has an alert.
    only_known = not report.leaks and any(known.trend in LEAKS for known in report.known)
    if report.deadline and not only_known:
        # By what the kernel calls it: its value, and whose it is, would make another series of it.
        yield Sample({"limit": _label(report.deadline.limit.kind)}, report.deadline.seconds)


# --- groups ---------------------------------------------------------------------------------------


class _Suspect(NamedTuple):
    group: Group
    trend: Trend  # of the leak that names the group, where one does
    is_known: bool  # by a baseline, and not part of a leak that is news

    @property
    def verdict(self) -> str:
        return KNOWN if self.is_known else self.trend.value

    @property
    def rank(self) -> tuple[bool, int, int, str]:
        """Sorts the worst first; what is known after all that is news."""
        return self.is_known, _SUSPECT.index(self.trend), -self.group.size, self.group.id


class _Told(NamedTuple):
    report: Report
    suspects: Sequence[_Suspect]


def _shown(report: Report) -> Iterator[Group]:
    """The groups of the level that was asked for and of no other, or threads would count twice."""
    return (group for group in report.groups if group.level is report.level)


def _is_unread(group: Group) -> bool:
    """Whether it is the threads whose stacks are not read: these have a figure of their own.

    They are of any kind and have one id everywhere; in a sum by group they would be a suspect.
    """
    return not real_frames(group.frames)


def _suspects(report: Report) -> list[_Suspect]:
    """The groups that leak or grow: the worst first, then the biggest; last what is known."""
    named = {id_: leak.trend for leak in reversed(report.leaks) for id_ in leak.groups}
    found = [
        _Suspect(
            group,
            named.get(group.id, group.verdict.trend),
            group.id not in named and report.knows(group.id),
        )
        for group in _shown(report)
        if group.size and not _is_unread(group)
    ]
    found = [suspect for suspect in found if suspect.trend in _SUSPECT]
    return sorted(found, key=lambda suspect: suspect.rank)[:TOP_GROUPS]


def _group_threads(told: _Told) -> Iterator[Sample]:
    for group, *_ in told.suspects:
        labels = {"group": group.id, "site": _site(group.site), "wait": _label(group.wait or "")}
        yield Sample(labels, group.size)


def _group_growth(told: _Told) -> Iterator[Sample]:
    for group, *_ in told.suspects:
        per_min = group.rate_per_min(told.report.observed_s)
        if per_min is not None:
            yield Sample({"group": group.id}, per_min / 60)


def _group_age(told: _Told) -> Iterator[Sample]:
    for group, *_ in told.suspects:
        oldest_s = min(stay.began_s for stay in group.stays)
        yield Sample({"group": group.id}, max(told.report.now_s - oldest_s, 0.0))


def _group_verdict(told: _Told) -> Iterator[Sample]:
    for suspect in told.suspects:
        yield Sample({"group": suspect.group.id, "verdict": suspect.verdict}, 1)


def _site(frame: Frame | None) -> str:
    """`jobs.py:Jobs.consume`: of the file what the id of the group holds, and no line.

    So it is the same wherever the program is unpacked, and after a release that moves the line.
    """
    if frame is None:
        return ""
    return _label(f"{portable_path(frame.filename)}:{frame.function}")


def _label(text: str) -> str:
    return clipped(printable(text), _LONGEST_LABEL)


# --- the looking itself ---------------------------------------------------------------------------


def _samples(told: _Told) -> Iterator[Sample]:
    yield Sample({"outcome": "taken"}, told.report.samples)
    yield Sample({"outcome": "missed"}, told.report.missed)


def _dumps(told: _Told) -> Iterator[Sample]:
    cost = told.report.cost
    if cost:
        yield Sample({"outcome": "ok"}, cost.dumps - cost.failed)
        yield Sample({"outcome": "failed"}, cost.failed)


def _cpu(told: _Told) -> Iterator[Sample]:
    cost = told.report.cost
    if cost:
        yield Sample({"of": "py-spy"}, cost.dumps_cpu_s)
        yield Sample({"of": "leakscope"}, cost.own_cpu_s)


def _pause(told: _Told) -> Iterator[Sample]:
    yield from _alone(told.report.cost.longest_pause_s if told.report.cost else None)


def _last_sample(told: _Told) -> Iterator[Sample]:
    if told.report.samples:
        yield Sample({}, told.report.ended_at)


def _build(_: _Told) -> Iterator[Sample]:
    yield Sample({"version": __version__}, 1)


class _Row(NamedTuple):
    name: str  # without the prefix
    kind: str
    help: str
    samples_of: Callable[[_Told], Iterator[Sample]]

    def family(self, samples: tuple[Sample, ...]) -> Family:
        return Family(f"leakscope_{self.name}", self.kind, self.help, samples)


_PROCESSES = _Row(
    "target_processes", "gauge",
    "Processes that are looked at and have not ended.", _processes,
)  # fmt: skip
_OF_LOOKING = (
    _Row(
        "samples", "counter",
        "Samples of the target, by whether they could be had.", _samples,
    ),
    _Row(
        "dumps", "counter",
        "Calls of py-spy, by how they ended.", _dumps,
    ),
    _Row(
        "cpu_seconds", "counter",
        "CPU time that looking has taken, by program.", _cpu,
    ),
    _Row(
        "longest_pause_seconds", "gauge",
        "For how long the target was stopped at most; 0 without --blocking.", _pause,
    ),
    _Row(
        "last_sample_timestamp_seconds", "gauge",
        "When the last sample was taken, in Unix seconds.", _last_sample,
    ),
    _Row(
        "build_info", "gauge",
        "1, with the version of leakscope.", _build,
    ),
)  # fmt: skip
_FAMILIES = (
    _PROCESSES,
    _Row(
        "target_threads", "gauge",
        "Threads of Python in the target, in the last sample.",
        lambda told: _alone(told.report.threads),
    ),
    _Row(
        "target_os_threads", "gauge",
        "Threads that the kernel counts in the target, those without Python included.",
        lambda told: _alone(told.report.os_threads),
    ),
    _Row(
        "unread_threads", "gauge",
        "Threads whose stacks are not read yet, or cannot be: they may be of any group.", _unread,
    ),
    _Row(
        "leaks", "gauge",
        "Leaks found.", lambda told: _alone(len(told.report.leaks)),
    ),
    _Row(
        "leaked_threads", "gauge",
        "Threads held to be leaked, of all leaks.", _leaked,
    ),
    _Row(
        "group_threads", "gauge",
        "Threads with one stack, of the worst groups that leak or grow.", _group_threads,
    ),
    _Row(
        "group_growth_threads_per_second", "gauge",
        "How fast the group grows; negative where it shrinks.", _group_growth,
    ),
    _Row(
        "group_oldest_age_seconds", "gauge",
        "Age of the oldest thread of the group, as far as it is known.", _group_age,
    ),
    _Row(
        "group_verdict", "gauge",
        "1 for the verdict that the group has; known: a baseline had it.", _group_verdict,
    ),
    _Row(
        "limit_seconds", "gauge",
        "Time until the leaks hit the limit that they hit first, at their rate.", _limit,
    ),
    *_OF_LOOKING,
)  # fmt: skip


# --- a comparison ---------------------------------------------------------------------------------


def diff_families(diff: Diff) -> Iterator[Family]:
    """The figures of a comparison: the threads of both looks, and the groups that grew most."""
    threads = (
        Sample({"look": "before"}, diff.threads_before),
        Sample({"look": "after"}, diff.threads_after),
    )
    yield Family("leakscope_diff_threads", "gauge", "Threads that were compared.", threads)
    grown = tuple(
        Sample(
            {"group": change.id, "site": _site(change.site), "wait": _label(change.wait or "")},
            change.growth,
        )
        for change in diff.changes[:TOP_GROUPS]
        if change.growth > 0
    )
    if grown:
        help_ = "By how many threads the group has grown, of the groups that grew most."
        yield Family("leakscope_diff_group_growth_threads", "gauge", help_, grown)
    yield Family(
        "leakscope_diff_has_grown",
        "gauge",
        "1 if a group has grown by as many threads as it takes, else 0.",
        (Sample({}, int(diff.has_grown)),),
    )
