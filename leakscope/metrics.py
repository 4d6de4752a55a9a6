"""The figures of a report, by the naming rules of Prometheus and OpenMetrics. Pure.

What is told of a group is labelled by the group's id, which is the same on every machine: a sum by
`group` is a sum over a fleet. Where its threads are and what they wait for is on one series only,
and its verdict is a series of its own: when either changes, no other series breaks off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from leakscope import __version__
from leakscope.diffing import Diff
from leakscope.model import Frame
from leakscope.policy import LEAKS, Trend
from leakscope.printable import clipped, printable
from leakscope.report import Group, Report
from leakscope.stacks import portable_path

# The worst and biggest; more would be noise on a dashboard, and each of them costs five series on
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
    for name, kind, help_, samples_of in _FAMILIES:
        samples = tuple(samples_of(report))
        if samples:
            yield Family(f"leakscope_{name}", kind, help_, samples)


def nothing_yet() -> Iterator[Family]:
    """The figures before the first report: no process is looked at."""
    name, kind, help_, _ = _FAMILIES[0]
    yield Family(f"leakscope_{name}", kind, help_, (Sample({}, 0),))


def _alone(value: float | None) -> Iterator[Sample]:
    if value is not None:
        yield Sample({}, value)


# --- the process ----------------------------------------------------------------------------------


def _processes(report: Report) -> Iterator[Sample]:
    yield from _alone(sum(member.ended_s is None for member in report.members))


def _leaked(report: Report) -> Iterator[Sample]:
    yield from _alone(sum(len(leak.leaked) for leak in report.leaks))


def _limit(report: Report) -> Iterator[Sample]:
    # A limit that only leaks of a baseline near is no news either, and this figure has an alert.
    only_known = not report.leaks and any(known.trend in LEAKS for known in report.known)
    if report.deadline and not only_known:
        yield Sample({"limit": _label(report.deadline.limit.name)}, report.deadline.seconds)


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


def _suspects(report: Report) -> list[_Suspect]:
    """The groups that leak or grow: the worst first, then the biggest; last what is known.

    Of the level that was asked for and of no other, or threads would count twice in a sum.
    """
    named = {id_: leak.trend for leak in reversed(report.leaks) for id_ in leak.groups}
    found = [
        _Suspect(
            group,
            named.get(group.id, group.verdict.trend),
            group.id not in named and report.knows(group.id),
        )
        for group in report.groups
        if group.level is report.level and group.size
    ]
    found = [suspect for suspect in found if suspect.trend in _SUSPECT]
    return sorted(found, key=lambda suspect: suspect.rank)[:TOP_GROUPS]


def _group_threads(report: Report) -> Iterator[Sample]:
    for group, *_ in _suspects(report):
        labels = {"group": group.id, "site": _site(group.site), "wait": _label(group.wait or "")}
        yield Sample(labels, group.size)


def _group_growth(report: Report) -> Iterator[Sample]:
    for group, *_ in _suspects(report):
        per_min = group.rate_per_min(report.observed_s)
        if per_min is not None:
            yield Sample({"group": group.id}, per_min / 60)


def _group_age(report: Report) -> Iterator[Sample]:
    for group, *_ in _suspects(report):
        oldest_s = min(stay.began_s for stay in group.stays)
        yield Sample({"group": group.id}, max(report.now_s - oldest_s, 0.0))


def _group_verdict(report: Report) -> Iterator[Sample]:
    for suspect in _suspects(report):
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


def _samples(report: Report) -> Iterator[Sample]:
    yield Sample({"outcome": "taken"}, report.samples)
    yield Sample({"outcome": "missed"}, report.missed)


def _dumps(report: Report) -> Iterator[Sample]:
    if report.cost:
        yield Sample({"outcome": "ok"}, report.cost.dumps - report.cost.failed)
        yield Sample({"outcome": "failed"}, report.cost.failed)


def _cpu(report: Report) -> Iterator[Sample]:
    if report.cost:
        yield Sample({"of": "py-spy"}, report.cost.dumps_cpu_s)
        yield Sample({"of": "leakscope"}, report.cost.own_cpu_s)


def _pause(report: Report) -> Iterator[Sample]:
    yield from _alone(report.cost.longest_pause_s if report.cost else None)


def _last_sample(report: Report) -> Iterator[Sample]:
    if report.samples:
        yield Sample({}, report.ended_at)


def _build(_: Report) -> Iterator[Sample]:
    yield Sample({"version": __version__}, 1)


# name without the prefix, kind, what it means, from a report to its figures
_FAMILIES: tuple[tuple[str, str, str, Callable[[Report], Iterator[Sample]]], ...] = (
    (
        "target_processes", "gauge",
        "Processes that are looked at and have not ended.", _processes,
    ),
    (
        "target_threads", "gauge",
        "Threads of Python in the target, in the last sample.", lambda r: _alone(r.threads),
    ),
    (
        "target_os_threads", "gauge",
        "Threads that the kernel counts in the target, those without Python included.",
        lambda r: _alone(r.os_threads),
    ),
    (
        "leaks", "gauge",
        "Leaks found.", lambda r: _alone(len(r.leaks)),
    ),
    (
        "leaked_threads", "gauge",
        "Threads held to be leaked, of all leaks.", _leaked,
    ),
    (
        "group_threads", "gauge",
        "Threads with one stack, of the worst groups that leak or grow.", _group_threads,
    ),
    (
        "group_growth_threads_per_second", "gauge",
        "How fast the group grows; negative where it shrinks.", _group_growth,
    ),
    (
        "group_oldest_age_seconds", "gauge",
        "Age of the oldest thread of the group, as far as it is known.", _group_age,
    ),
    (
        "group_verdict", "gauge",
        "1 for the verdict that the group has; known: a baseline had it.", _group_verdict,
    ),
    (
        "limit_seconds", "gauge",
        "Time until the leaks hit the limit that they hit first, at their rate.", _limit,
    ),
    (
        "samples", "counter",
        "Samples of the target, by whether they could be had.", _samples,
    ),
    (
        "dumps", "counter",
        "Calls of py-spy, by how they ended.", _dumps,
    ),
    (
        "cpu_seconds", "counter",
        "CPU time that looking has taken, by program.", _cpu,
    ),
    (
        "longest_pause_seconds", "gauge",
        "For how long the target was stopped at most; 0 without --blocking.", _pause,
    ),
    (
        "last_sample_timestamp_seconds", "gauge",
        "When the last sample was taken, in Unix seconds.", _last_sample,
    ),
    (
        "build_info", "gauge",
        "1, with the version of leakscope.", _build,
    ),
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
