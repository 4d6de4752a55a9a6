"""Several processes, each with an engine of its own, and what they come to together. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from leakscope.engine import Engine, View
from leakscope.history import MAX_EMPTY
from leakscope.leaks import Judged
from leakscope.merging import (
    Past,
    as_ended,
    as_joined,
    merged,
    past_leaks,
    together,
    worst,
    worst_trend,
)
from leakscope.model import Target
from leakscope.policy import DEFAULT_POLICY, LEAKS, Policy, Trend
from leakscope.report import EndedBy, Group, Kind, Member, Overall, Report
from leakscope.rounds import Ended, Event, Joined, LeftOut, Of

# Of processes that have ended, so many are listed one by one: a pool may use up thousands a day.
MAX_ENDED = 32


# Of each process that lives its number, and which findings are its latest.
Edition = tuple[tuple[int, int], ...]


class Standing(NamedTuple):
    """How a group stands after a round."""

    id: str
    size: int
    trend: Trend


@dataclass(slots=True)
class _Living:
    engine: Engine
    target: Target
    from_start: bool

    @property
    def is_seen(self) -> bool:
        """Whether there was a look at it, or at least a try."""
        return self.engine.samples + self.engine.missed > 0


class Members:
    """Takes in the samples of each process and can say at any time what all amount to.

    `left_out` is what belongs to them and cannot be looked at, a line each. Memory is bounded by
    the processes that live: of those that ended, sums are kept, their leaks, and the latest few.
    """

    def __init__(self, view: View, policy: Policy = DEFAULT_POLICY) -> None:
        self.view = view
        self.policy = policy
        self.left_out: tuple[str, ...] = ()
        self._living: dict[int, _Living] = {}
        self._ended: Report | None = None
        self._ended_members: list[Member] = []
        self._forgotten = 0
        self._past: dict[str, Past] = {}
        self._joined = 0
        self._against: tuple[Edition, Overall] | None = None  # what a baseline left of which

    def observe(self, event: Event) -> None:
        """Take in what came in."""
        match event:
            case Joined(number, target, from_start):
                self._living[number] = _Living(Engine(self.view, self.policy), target, from_start)
                self._joined += 1
            case Of(number, look):
                self._living[number].engine.observe(look)
            case Ended(number, elapsed_s):
                self._end(number, elapsed_s)
            case LeftOut(lines):
                self.left_out = lines

    def _end(self, number: int, at_s: float) -> None:
        """A process has ended: it counts no more, but what was certain of it stays said."""
        if not self._living[number].is_seen:
            del self._living[number]
            return
        self._living[number].engine.judge_anew()
        report = self._report_of(number, Kind.SUMMARY, EndedBy.TARGET_EXITED, None)
        (target,) = report.targets
        del self._living[number]
        for id_, past in past_leaks(report, target.pid).items():
            known = self._past.get(id_)
            self._past[id_] = known.joined(past) if known else past
        self._note_ended(Member(target, None, None, report.verdict, at_s))
        gone = as_ended(report, at_s)
        self._ended = self._bounded(merged([self._ended, gone], None, {}) if self._ended else gone)

    def engines(self) -> dict[int, tuple[int, Engine]]:
        """PID and engine of each process that lives, by its number."""
        return {number: (one.target.pid, one.engine) for number, one in self._living.items()}

    def pid(self, number: int) -> int:
        """The PID of a process that lives."""
        return self._living[number].target.pid

    @property
    def targets(self) -> tuple[Target, ...]:
        """The processes that live."""
        return tuple(living.target for living in self._living.values())

    @property
    def began_at(self) -> float:
        """When the first sample was taken, in Unix seconds."""
        began = [report.began_at for report in [self._ended] if report]
        return min(began + [one.engine.began_at for one in self._seen()], default=0.0)

    @property
    def observed_s(self) -> float:
        """From the first look to the latest."""
        ends = [(one.engine.began_s, one.engine.now_s) for one in self._seen()]
        if self._ended:
            ends.append((self._ended.now_s - self._ended.observed_s, self._ended.now_s))
        return max(end_s for _, end_s in ends) - min(begin_s for begin_s, _ in ends) if ends else 0

    @property
    def threads(self) -> int:
        """Python threads in the latest sample of each."""
        return sum(living.engine.threads for living in self._living.values())

    @property
    def threads_by_process(self) -> dict[int, int]:
        """Python threads in the latest sample of each, by PID."""
        return {living.target.pid: living.engine.threads for living in self._living.values()}

    @property
    def os_threads(self) -> int | None:
        """Threads that the kernel counted; None where it was not asked."""
        counts = [living.engine.os_threads for living in self._living.values()]
        known = [count for count in counts if count is not None]
        return sum(known) if known else None

    @property
    def verdict(self) -> Overall:
        """The verdict of all."""
        if self._past:
            verdict = Overall.LEAKING
        else:
            verdict = worst(one.engine.findings().verdict for one in self._living.values())
        if self.view.baseline and verdict in (Overall.LEAKING, Overall.GROWING):
            return self._verdict_against()
        return verdict

    def _verdict_against(self) -> Overall:
        """The verdict without what the baseline knows; a whole report is made for each new one."""
        if self._against is None or self._against[0] != self.edition:
            verdict = self.report(Kind.SUMMARY, EndedBy.ONE_SAMPLE).verdict
            self._against = self.edition, verdict  # of after it, for it may have judged anew
        return self._against[1]

    @property
    def edition(self) -> Edition:
        """What is another one as soon as there is anything else to find in any process."""
        return tuple((number, one.engine.edition) for number, one in self._living.items())

    @property
    def is_blind(self) -> bool:
        """Whether the stacks of one cannot be read."""
        return any(living.engine.unread for living in self._living.values())

    def standings(self) -> Iterator[Standing]:
        """Each group that any process has, with its verdict over all."""
        found: dict[str, list[Judged]] = {}
        for living in self._living.values():
            for judged in living.engine.findings().groups:
                found.setdefault(judged.facts.id, []).append(judged)
        for id_, same in found.items():
            counting = [j for j in same if j.facts.size or j.verdict.trend in LEAKS] or same
            trend = worst_trend(judged.verdict.trend for judged in counting)
            yield Standing(id_, sum(judged.facts.size for judged in same), trend)

    def sizes(self) -> dict[str, int]:
        """How many threads are in each group that is not empty, now, over all; by id."""
        sizes: Counter[str] = Counter()
        for living in self._living.values():
            sizes.update(living.engine.sizes())
        return dict(sizes)

    def judge_anew(self) -> None:
        """Let what is found next be as of the latest look at each, whatever it told."""
        for living in self._living.values():
            living.engine.judge_anew()

    def group(self, id_: str) -> Group:
        """One of the groups of `standings`, by its id."""
        same = [
            living.engine.group_at(index)
            for living in self._living.values()
            for index, judged in enumerate(living.engine.findings().groups)
            if judged.facts.id == id_
        ]
        return together(same, 0.0)

    def report(self, kind: Kind, ended_by: EndedBy, interval_s: float | None = None) -> Report:
        """All that was found, as of the latest look at each; what a baseline knows is apart."""
        report = self._report(kind, ended_by, interval_s)
        if self.view.baseline is None:
            return report
        from leakscope.baseline import against

        return against(report, self.view.baseline)

    def _report(self, kind: Kind, ended_by: EndedBy, interval_s: float | None) -> Report:
        living = [
            self._report_of(number, kind, ended_by, interval_s)
            for number, one in self._living.items()
            if one.is_seen
        ]
        if len(living) == self._joined == 1 and not self.left_out:
            return living[0]
        if not living and self._ended is None:
            nothing = Engine(self.view, self.policy).report(kind, (), ended_by, interval_s)
            return replace(nothing, not_seen=self.left_out)
        report = merged(living, self._ended, self._past)
        members = (*map(_member, living), *self._ended_members)
        return replace(
            report,
            kind=kind,
            ended_by=ended_by,
            interval_s=interval_s,
            targets=tuple(member.target for member in members),
            several=members,
            not_seen=(*report.not_seen, *self._unlisted(), *self.left_out),
        )

    def _seen(self) -> list[_Living]:
        return [living for living in self._living.values() if living.is_seen]

    def _report_of(
        self, number: int, kind: Kind, ended_by: EndedBy, interval_s: float | None
    ) -> Report:
        one = self._living[number]
        report = one.engine.report(kind, (one.target,), ended_by, interval_s)
        return report if one.from_start else as_joined(report)

    def _note_ended(self, member: Member) -> None:
        self._ended_members.append(member)
        if len(self._ended_members) > MAX_ENDED:
            # One that leaked stays in the list longer than those that were well.
            well = [m for m in self._ended_members if m.verdict is not Overall.LEAKING]
            self._ended_members.remove((well or self._ended_members)[0])
            self._forgotten += 1

    def _bounded(self, report: Report) -> Report:
        named = {id_ for past in self._past.values() for id_ in past.leak.groups}
        latest = sorted(report.groups, key=lambda g: g.points[-1].elapsed_s if g.points else 0.0)
        kept = {group.id for group in latest[-MAX_EMPTY:]} | named
        return replace(report, groups=tuple(g for g in report.groups if g.id in kept))

    def _unlisted(self) -> tuple[str, ...]:
        if not self._forgotten:
            return ()
        return (f"ended: {self._forgotten} more processes, which are not listed one by one",)


def _member(report: Report) -> Member:
    return Member(report.targets[0], report.threads, report.os_threads, report.verdict)
