"""The path from samples to a report: changes, history, verdicts, leaks. Pure, without a clock."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from leakscope.changes import Differ
from leakscope.explaining import explained
from leakscope.facts import GroupFacts, Point, common_wait
from leakscope.history import History, thinned
from leakscope.leaks import Judged, Leak, find_leaks, projected
from leakscope.limits import (
    Deadline,
    Resources,
    ThreadCost,
    nearest_deadline,
    nearest_limit,
    relative_error,
    thread_cost,
    with_cost,
)
from leakscope.model import Changes, Missed, RunState, Snapshot, Target, Tick
from leakscope.policy import DEFAULT_POLICY, Policy, Trend
from leakscope.report import Cost, EndedBy, Group, Kind, Overall, Report
from leakscope.rules.unread import is_unread
from leakscope.spans import duration
from leakscope.stacks import Level, entry, real_frames, site
from leakscope.unseen import NATIVE_GROWTH, unseen
from leakscope.verdicts import judge

if TYPE_CHECKING:
    from leakscope.baseline import Baseline
    from leakscope.excuses import Excuse

# Less than this says nothing, not even that all is well: most leaks add less than a thread a
# second.
CLEAN_AFTER_S = 10.0
CLEAN_AFTER_SAMPLES = 8
MAX_TOTALS = 600
# While dumps fail, judging again this often finds growth that only the kernel tells of within the
# time in which a dump would have.
JUDGE_EACH_S = 5.0
# Stacks that are older than this are worth a word: half a minute is the usual time between two
# dumps of a big process.
STALE_S = 60.0
# Samples that are further apart than this many intervals, in the mean, are worth a word.
STRETCHED = 1.25


class View(NamedTuple):
    """What to show: at which level to group, and what to leave out."""

    level: Level = Level.FUNCTION
    ignore: tuple[re.Pattern[str], ...] = ()  # of functions or files
    excuses: tuple[Excuse, ...] = ()
    baseline: Baseline | None = None  # what is in it is known, and no leak of this report

    def hides(self, facts: GroupFacts) -> bool:
        """Whether a group is to be left out."""
        return self.reason_to_hide(facts) is not None

    def reason_to_hide(self, facts: GroupFacts) -> str | None:
        """Why a group is to be left out; None for one that is not."""
        if any(_fits(pattern, facts) for pattern in self.ignore):
            return "as --ignore asks"
        fitting = (excuse for excuse in self.excuses if _fits(excuse.pattern, facts))
        excuse = next(fitting, None)
        return f"as --ignore-file asks: {excuse.reason}" if excuse else None


def _fits(pattern: re.Pattern[str], facts: GroupFacts) -> bool:
    return any(
        pattern.search(text) for frame in facts.frames for text in (frame.function, frame.filename)
    )


DEFAULT_VIEW = View()


class Findings(NamedTuple):
    """What the groups and leaks are after the latest look."""

    groups: tuple[Judged, ...]  # at the level that is shown
    functions: tuple[Judged, ...]
    leaks: tuple[Leak, ...]
    verdict: Overall


class Engine:
    """Takes in samples and can say at any time what they amount to."""

    def __init__(self, view: View = DEFAULT_VIEW, policy: Policy = DEFAULT_POLICY) -> None:
        self.view = view
        self.policy = policy
        self.samples = self.missed = self.tries = 0
        self.began_at = self.ended_at = 0.0
        self.began_s = self.now_s = 0.0
        self.os_threads: int | None = None
        self.native: int | None = None
        self.native_first: int | None = None
        self.totals: list[Point] = []
        self.history = History(dict.fromkeys((Level.FUNCTION, Level.ENTRY, view.level)))
        self._differ = Differ()
        self._findings: Findings | None = None
        self._edition = 0  # how often it judged
        self._judged_s = 0.0
        self._has_moved = False  # threads began or ended since it judged
        self._read_s = 0.0  # when stacks were read last
        self.unread: str | None = None  # why stacks could not be read, since when they could not
        self.unread_since_s = 0.0
        self.resources: list[Resources] = []

    def observe(self, look: Changes | Snapshot | Tick | Missed | Resources) -> None:
        """Take in a sample, whole or as changes, the fact that one was missed, or the resources."""
        if isinstance(look, Resources):
            self.resources = [*self.resources[:1], look]  # the first and the latest count
            return
        self._note_time(look.taken_at, look.elapsed_s)
        self.tries += look.tries
        if isinstance(look, Missed):
            self.missed += 1
            return
        self._take(look if isinstance(look, Changes) else self._differ.changes(look))

    def _note_time(self, taken_at: float, elapsed_s: float) -> None:
        if not self.samples and not self.missed:
            self.began_at, self.began_s = taken_at, elapsed_s
        self.ended_at, self.now_s = taken_at, elapsed_s

    def _take(self, changes: Changes) -> None:
        self.samples += 1
        self.os_threads, self.native = changes.os_threads, changes.native
        if self.native_first is None:
            self.native_first = changes.native
        self.history.observe(changes)
        if changes.stacks_read:
            self.unread = None
            self._read_s = changes.elapsed_s
        elif changes.unread:
            self.unread_since_s = self.unread_since_s if self.unread else changes.elapsed_s
            self.unread = changes.unread
        self._has_moved = self._has_moved or bool(changes.began or changes.ended)
        is_blind = self.unread and self.now_s - self._judged_s >= JUDGE_EACH_S
        if changes.stacks_read or is_blind:
            self._findings = None
        self.totals.append(Point(changes.elapsed_s, len(self.history.tracks)))
        if len(self.totals) > MAX_TOTALS:
            self.totals[:] = thinned(self.totals)

    @property
    def threads(self) -> int:
        """Python threads in the latest sample."""
        return len(self.history.tracks)

    def findings(self) -> Findings:
        """Groups, leaks and the overall verdict, as of the latest look that told something new.

        Between two dumps nothing new is known of any stack. While they cannot be read at all, the
        threads that no stack is known of make the difference; these are looked at now and then.
        """
        if self._findings is None:
            self._edition += 1
            self._judged_s = self.now_s
            self._has_moved = False
            functions = self._judged(Level.FUNCTION)
            entries = self._judged(Level.ENTRY)
            leaks = find_leaks(functions, entries, self.policy)
            shown = {Level.FUNCTION: functions, Level.ENTRY: entries}.get(self.view.level)
            groups = self._judged(self.view.level) if shown is None else shown
            if self.view.level is not Level.FUNCTION:
                groups = [projected(judged, functions, leaks) for judged in groups]
            self._findings = Findings(
                tuple(groups), tuple(functions), leaks, self._overall(functions, leaks)
            )
        return self._findings

    @property
    def edition(self) -> int:
        """A number that is another one as soon as there are other findings."""
        self.findings()
        return self._edition

    def judge_anew(self) -> None:
        """Let the next findings be as of the latest look, whatever it told."""
        self._findings = None

    def _judged(self, level: Level) -> list[Judged]:
        return [
            Judged(facts, judge(facts, self.policy))
            for facts in self.history.facts(level)
            if not self.view.hides(facts)
        ]

    def _overall(self, functions: Iterable[Judged], leaks: tuple[Leak, ...]) -> Overall:
        trends = {judged.verdict.trend for judged in functions}
        if leaks:
            return Overall.LEAKING
        if Trend.GROWING in trends or self.native_grown >= NATIVE_GROWTH:
            return Overall.GROWING
        enough = self.observed_s >= CLEAN_AFTER_S and self.samples >= CLEAN_AFTER_SAMPLES
        out = self._is_all_left_out(functions)
        return Overall.CLEAN if enough and not out else Overall.UNKNOWN

    def _is_all_left_out(self, functions: Iterable[Judged]) -> bool:
        """Whether no group is left in which a leak could have shown.

        Threads of which no stack was read yet are in a group too, which nothing leaves out.
        """
        if not all(is_unread(judged.facts) for judged in functions):
            return False
        return any(map(self.view.hides, self.history.facts(Level.FUNCTION)))

    def sizes(self) -> dict[str, int]:
        """How many threads are in each group that is shown and not empty, now; by id."""
        return {
            cell.id: len(cell.members)
            for cell in self.history.cells(self.view.level)
            if cell.members
        }

    @property
    def native_grown(self) -> int:
        """Native threads that there are more of than at the first look."""
        return (self.native or 0) - (self.native_first or 0)

    def group_at(self, index: int) -> Group:
        """One of the groups that are shown, by its place in `findings().groups`."""
        return _group(self.findings().groups[index])

    @property
    def observed_s(self) -> float:
        """From the first look to the latest."""
        return self.now_s - self.began_s

    def report(
        self,
        kind: Kind,
        targets: Iterable[Target],
        ended_by: EndedBy,
        interval_s: float | None = None,
        cost: Cost | None = None,
    ) -> Report:
        """All that was found. Where threads have come or gone, it is judged anew now and then."""
        if self._has_moved and self.now_s - self._judged_s >= JUDGE_EACH_S:
            self._findings = None
        findings = self.findings()
        targets = tuple(targets)
        leaks = self._explained(findings, targets)
        each = thread_cost([resources.usage for resources in self.resources])
        return Report(
            kind=kind,
            targets=targets,
            began_at=self.began_at,
            ended_at=self.ended_at,
            ended_by=ended_by,
            observed_s=self.observed_s,
            interval_s=interval_s,
            samples=self.samples,
            missed=self.missed,
            tries=self.tries,
            threads=self.threads if self.samples else None,
            os_threads=self.os_threads,
            level=self.view.level,
            verdict=findings.verdict,
            noticeable_per_min=self._noticeable_per_min(),
            not_seen=self._not_seen(interval_s),
            leaks=leaks,
            groups=self._shown(findings),
            total_points=tuple(self.totals),
            now_s=self.now_s,
            deadline=self._deadline(leaks, each),
            thread_cost=each,
            nearest_limit=nearest_limit(self.resources[-1].limits) if self.resources else None,
            native_grown=self.native_grown,
            cost=cost,
            all_left_out=self._is_all_left_out(findings.functions),
        )

    def _not_seen(self, interval_s: float | None) -> tuple[str, ...]:
        return (
            *unseen(self.history.tracks.values(), self.native, self.native_grown),
            *self._unread(),
            *self._stale(),
            *self._stretched(interval_s),
            *self._stopped(),
            *self._left_out(),
        )

    def _explained(self, findings: Findings, targets: tuple[Target, ...]) -> tuple[Leak, ...]:
        python = targets[0].python if targets else None
        stays = {stay.key: stay for judged in findings.functions for stay in judged.facts.stays}
        return tuple(explained(leak, stays, python) for leak in findings.leaks)

    def _shown(self, findings: Findings) -> tuple[Group, ...]:
        """The groups of the level that was asked for, and those that a leak names."""
        named = {id_ for leak in findings.leaks for id_ in leak.groups}
        extra = () if self.view.level is Level.FUNCTION else findings.functions
        return (
            *(_group(judged) for judged in findings.groups),
            *(_group(judged) for judged in extra if judged.facts.id in named),
        )

    def _deadline(self, leaks: tuple[Leak, ...], cost: ThreadCost) -> Deadline | None:
        """The limit that all leaks together hit first, with a range as wide as their rate's."""
        if not self.resources:
            return None
        rate = sum(leak.rate_per_min for leak in leaks)
        arrivals = sum(len(leak.leaked) for leak in leaks)
        if not leaks and self.unread:
            # No leak can be named where stacks cannot be read, and yet a limit is nearing.
            blind = [j for j in self.findings().functions if is_unread(j.facts)]
            rate = sum(judged.verdict.rate_per_min or 0.0 for judged in blind)
            arrivals = sum(len(judged.verdict.moments) for judged in blind)
        error = relative_error(arrivals)
        return nearest_deadline(with_cost(self.resources[-1].limits, cost), rate, error)

    def _unread(self) -> tuple[str, ...]:
        """Why the latest stacks are not the latest, where that is a fault."""
        if not self.unread:
            return ()
        since_s = self.now_s - self.unread_since_s
        told = f" for {duration(since_s)}" if since_s >= 1 else ""
        return (
            f"stacks: not read{told}: {self.unread}. Threads, births and growth come from the "
            "kernel; groups are as they were last read",
        )

    def _stale(self) -> tuple[str, ...]:
        """How old the stacks are, where as many threads have none as a leak may have."""
        age_s = self.now_s - self._read_s
        if self.unread or age_s < STALE_S:
            return ()
        unread = sum(j.facts.size for j in self.findings().functions if is_unread(j.facts))
        if unread < self.policy.min_held:
            return ()
        return (
            f"stacks: last read {duration(age_s)} ago, and {unread} threads have none yet: to read "
            "them sooner would take more than --max-cpu allows",
        )

    def _stretched(self, interval_s: float | None) -> tuple[str, ...]:
        """That samples are further apart than was asked for, because each takes that long."""
        looks = self.samples + self.missed
        if not interval_s or looks < 3:
            return ()
        mean_s = self.observed_s / (looks - 1)
        if mean_s < STRETCHED * interval_s:
            return ()
        return (
            f"what lay between samples: they were {mean_s:.1f} s apart instead of {interval_s:g} s,"
            " since a look takes that long",
        )

    def _stopped(self) -> tuple[str, ...]:
        """That somebody else stops the process, and that this is not held against its leaks."""
        stops = self.history.stops
        if not stops:
            return ()
        return (
            f"use, when something else stopped the whole process, {_times(stops)} (`py-spy dump` "
            "does that): its threads ran then, and that is not taken for use",
        )

    def _left_out(self) -> tuple[str, ...]:
        """What --ignore hides is said, lest a leak be taken for health."""
        if not self.view.ignore and not self.view.excuses:
            return ()
        hidden: dict[str, list[int]] = {}
        for facts in self.history.facts(Level.FUNCTION):
            reason = self.view.reason_to_hide(facts) if facts.size else None
            if reason:
                hidden.setdefault(reason, []).append(facts.size)
        return tuple(
            f"ignored: {sum(sizes)} threads in {_groups(len(sizes))}, {reason}"
            for reason, sizes in hidden.items()
        )

    def _noticeable_per_min(self) -> float | None:
        """The slowest leak that would have shown, as growth at least: enough threads in time."""
        if self.observed_s < CLEAN_AFTER_S or self._is_all_left_out(self.findings().functions):
            return None
        long = self.observed_s > self.policy.min_watched_s
        return 60 * (self.policy.min_held if long else self.policy.growing_by) / self.observed_s


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _groups(number: int) -> str:
    return "1 group" if number == 1 else f"{number} groups"


def _group(judged: Judged) -> Group:
    facts = judged.facts
    states = [stay.state for stay in facts.stays]
    return Group(
        id=facts.id,
        level=facts.level,
        verdict=judged.verdict,
        frames=facts.frames,
        site=site(facts.frames),
        entry=entry(facts.frames) if real_frames(facts.frames) else None,
        wait=common_wait(facts.stays),
        blocked=states.count(RunState.BLOCKED),
        running=states.count(RunState.RUNNING),
        unknown=len(states) - states.count(RunState.BLOCKED) - states.count(RunState.RUNNING),
        first=facts.first,
        peak=facts.peak,
        arrived=facts.arrived,
        departed=facts.departed,
        born=facts.born,
        ended=facts.ended,
        points=facts.points,
        stays=facts.stays,
    )
