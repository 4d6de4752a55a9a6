"""Several living processes as one source: at each tick a round of samples; members come and go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Protocol

from leakscope.debugging import debug
from leakscope.errors import (
    DumpFailed,
    LeakscopeError,
    NoSuchProcess,
    NotPermitted,
    Unsupported,
)
from leakscope.model import Missed, Sample, Target
from leakscope.redaction import Redaction
from leakscope.report import NO_COST, Cost, EndedBy
from leakscope.rounds import Ended, Event, Joined, LeftOut, Of
from leakscope.sources.budget import Budget
from leakscope.sources.live import LiveSource
from leakscope.sources.stopping import Clock, Stop
from leakscope.sources.target import target
from leakscope.sources.timetable import Schedule, Timetable
from leakscope.sources.tree import Found

# Dumps at the same time, each of another process: enough for the rest to go on while one hangs.
_AT_ONCE = 2
# A process that has just begun may be unreadable for a moment, with whatever words.
_MOST_REFUSALS = 3
# As many rounds without one Python process are enough: children are given time to settle.
_MOST_EMPTY = 3
# A process that cannot be looked at any more is at its very end: its threads go one by one.
_ENDING_S = 0.02
# Why a process that may well be Python was given up.
_FAULTS = (NotPermitted, Unsupported)
# Of those that were given up and have ended, so many are named, as of programs that are not Python.
_MAX_NAMED = 20


class Membership(Protocol):
    """Says which processes are to be watched now."""

    def find(self) -> Sequence[Found]:
        """The processes that there are now. Raises NoSuchProcess when all is over."""

    def left_out(self) -> Sequence[str]:
        """What there is besides them, a line each."""


class Source(Protocol):
    """One process that can be looked at."""

    @property
    def cost(self) -> Cost:
        """What looking has taken so far."""

    def look(self, *, last: bool = False) -> Sample:
        """One sample now; `last` says that none comes after it. Raises LeakscopeError."""

    def close(self) -> None:
        """Give back what is held open."""


@dataclass(slots=True)
class _Member:
    found: Found
    source: Source | None = None
    number: int | None = None  # None until its first sample
    refusals: int = 0
    why_not: LeakscopeError | None = None
    over: bool = False  # it has ended, or is not to be tried again
    in_flight: Future[Sample] | None = field(default=None, repr=False)

    @property
    def is_given_up(self) -> bool:
        """Whether it may well be Python, and cannot be looked at."""
        return self.over and self.number is None and isinstance(self.why_not, _FAULTS)

    @property
    def is_looked_at(self) -> bool:
        """Whether a look at it goes on."""
        return self.in_flight is not None and not self.in_flight.done()


class Rounds:
    """Samples several processes at an interval; `ended_by` says why it ended."""

    def __init__(
        self,
        membership: Membership,
        schedule: Schedule,
        stop: Stop,
        *,
        blocking: bool = False,
        budget: Budget | None = None,
        redaction: Redaction = Redaction.SECRETS,
        may_be_none: bool = False,
        on_refusal: Callable[[LeakscopeError], None] | None = None,
        begins_after_s: float = 0.0,
        open_source: Callable[[int], Source] | None = None,
        describe: Callable[[int], Target] | None = None,
    ) -> None:
        """`may_be_none`: there need not be a Python process, for one may come yet.

        `on_refusal` is told why the first of those that cannot be looked at cannot, at once.
        `begins_after_s`: how long to leave them alone, for they have just been started.
        """
        self.clock = Clock()
        self.ended_by = EndedBy.ONE_SAMPLE
        self._membership = membership
        self._schedule = schedule
        self._stop = stop
        self._may_be_none = may_be_none
        self._on_refusal = on_refusal
        self._begins_after_s = begins_after_s
        self._members: dict[Found, _Member] = {}
        self._next_number = 0
        self._cost_of_ended = NO_COST
        self._first_round = True
        self._empty_rounds = 0
        self._said_left_out = LeftOut(())
        self._given_up: list[_Member] = []  # the first of those that have ended since
        self._unnamed = 0  # the others of them
        self._there: frozenset[Found] = frozenset()

        def live(pid: int) -> LiveSource:
            return LiveSource(
                pid, schedule, stop, blocking=blocking, budget=budget, clock=self.clock
            )

        self._open: Callable[[int], Source] = open_source or live
        self._describe = describe or (lambda pid: target(pid, self.clock.zero_at, redaction))

    def rounds(self) -> Iterator[tuple[Event, ...]]:
        """What comes in, once an interval. Raises LeakscopeError when nothing can be looked at."""
        self._stop.wait(self._begins_after_s)
        timetable = Timetable(self._schedule, self._stop, self.clock)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            while True:
                try:
                    found = self._membership.find()
                except NoSuchProcess:
                    if self._first_round and not self._may_be_none:
                        raise
                    self.ended_by = EndedBy.TARGET_EXITED
                    break
                yield from self._round(found, pool, timetable)
                ended_by = timetable.wait(counts=self._next_number > 0 or not self._may_be_none)
                if ended_by:
                    self.ended_by = ended_by
                    break
        has_refused = any(member.is_given_up for member in self._all())
        if not self._next_number and (not self._may_be_none or has_refused):
            raise self._why_nothing()

    def _all(self) -> Iterator[_Member]:
        """Those that are there, and those that were given up and have ended."""
        yield from self._given_up
        yield from self._members.values()

    def _round(
        self, found: Sequence[Found], pool: ThreadPoolExecutor, timetable: Timetable
    ) -> Iterator[tuple[Event, ...]]:
        """The events of a round, if there were any."""
        self._note(found)
        self._look(pool, timetable)
        seen: list[Event] = []
        ended: list[Event] = []
        for member in list(self._members.values()):
            sample = self._taken(member)
            if member.over and member.number is not None:
                ended.append(Ended(member.number, self.clock.elapsed_s()))
                self._forget(member)
            elif sample is not None:
                if member.number is None:
                    seen.append(self._join(member))
                seen.append(Of(member.number or 0, sample))
        if ended and self._is_over():
            ended = []  # nothing comes after it: what there was to the last is what is reported
        if seen or ended:
            # Who ended comes first: who joins may have the PID of one that did.
            yield (*ended, *seen, *self._new_left_out())
            self._first_round = False
        elif not self._next_number:
            self._empty_rounds += all(member.over for member in self._members.values())
            if self._empty_rounds >= _MOST_EMPTY and not self._may_be_none:
                raise self._why_nothing()

    def _is_over(self) -> bool:
        """Whether the process has ended with which the watch does."""
        self._stop.wait(_ENDING_S)
        return self._stop.target_ended

    @property
    def cost(self) -> Cost:
        """What looking at all of them has taken so far."""
        cost = self._cost_of_ended
        for member in self._members.values():
            if member.source is not None:
                cost = cost.plus(member.source.cost)
        return cost

    def close(self) -> None:
        """Give back what is held open."""
        for member in self._members.values():
            # One that is being looked at is not pulled away from under the look.
            if member.source is not None and not member.is_looked_at:
                member.source.close()

    def _forget(self, member: _Member) -> None:
        if member.source is not None:
            self._cost_of_ended = self._cost_of_ended.plus(member.source.cost)
            if not member.is_looked_at:
                member.source.close()
        del self._members[member.found]

    def _note_given_up(self, member: _Member) -> None:
        """One that could not be looked at has ended: it is missing from the report all the same."""
        if member.is_given_up and len(self._given_up) < _MAX_NAMED:
            self._given_up.append(member)
        elif member.is_given_up:
            self._unnamed += 1

    def _note(self, found: Sequence[Found]) -> None:
        """Add who is new; whoever was never seen, and is not there any more, is forgotten.

        Not so that it could not be looked at, where that is why.
        """
        self._there = frozenset(found)
        pids = {one.pid: one for one in found}
        for one, member in list(self._members.items()):
            if one in self._there:
                continue
            if member.number is None and member.in_flight is None:
                self._note_given_up(member)
                self._forget(member)
                continue
            # One that lost its parent is found no more, and lives; not so if its PID is another's.
            member.over = member.over or pids.get(one.pid, one) != one
        for one in found:
            self._members.setdefault(one, _Member(one))

    def _look(self, pool: ThreadPoolExecutor, timetable: Timetable) -> None:
        """Look at all; what takes longer than until the next round is waited for in that."""
        for member in self._members.values():
            if not member.over and member.in_flight is None:
                member.in_flight = pool.submit(self._look_at, member, last=timetable.is_last())
        looking = [m.in_flight for m in self._members.values() if m.in_flight]
        # All that is there at first is to be in the first round, however long that takes.
        patience_s = (
            None if self._first_round else max(timetable.due_s() - self.clock.elapsed_s(), 0.0)
        )
        wait(looking, patience_s)

    def _look_at(self, member: _Member, *, last: bool) -> Sample:
        if member.source is None:
            member.source = self._open(member.found.pid)
        return member.source.look(last=last)

    def _taken(self, member: _Member) -> Sample | None:
        """What came of looking at a process; None where nothing did, or not yet."""
        if member.in_flight is None or not member.in_flight.done():
            return None
        looked, member.in_flight = member.in_flight, None
        try:
            sample = looked.result()
        except NoSuchProcess as error:
            member.why_not = error
            member.over = True
            return None
        except LeakscopeError as error:
            debug("process %d: %s", member.found.pid, error)
            if isinstance(error, Unsupported) and member.found not in self._there:
                member.over = True  # it runs another program now
                return None
            if member.number is not None:
                return Missed(_now_at(self.clock), self.clock.elapsed_s(), str(error))
            member.why_not = error
            member.refusals += 1
            member.over = isinstance(error, NotPermitted) or member.refusals >= _MOST_REFUSALS
            if member.is_given_up and self._on_refusal is not None:
                self._on_refusal(error)
                self._on_refusal = None
            return None
        if member.number is None and isinstance(sample, Missed):
            member.why_not = DumpFailed(sample.reason)
            return None
        return sample

    def _join(self, member: _Member) -> Joined:
        number = member.number = self._next_number
        self._next_number += 1
        member.why_not = None
        return Joined(number, self._described(member.found.pid), self._first_round)

    def _described(self, pid: int) -> Target:
        try:
            return self._describe(pid)
        except NoSuchProcess:
            return Target(pid)

    def left_out(self) -> tuple[str, ...]:
        """What there is besides what is looked at, a line each."""
        return (*self._membership.left_out(), *self._refused())

    def _new_left_out(self) -> Iterator[LeftOut]:
        left_out = LeftOut(self.left_out())
        if left_out != self._said_left_out:
            self._said_left_out = left_out
            yield left_out

    def _refused(self) -> Iterator[str]:
        for member in self._all():
            why_not = member.why_not if member.number is None else None
            if why_not and not isinstance(why_not, NoSuchProcess):
                yield f"left out: process {member.found.pid}: {why_not}"
        if self._unnamed:
            yield f"left out: {self._unnamed} more processes that could not be looked at"

    def _why_nothing(self) -> LeakscopeError:
        for member in self._all():
            if member.why_not:
                return member.why_not
        lines = "\n".join(self._membership.left_out())
        return Unsupported("there is no Python process to look at", lines)


def _now_at(clock: Clock) -> float:
    return clock.zero_at + clock.elapsed_s()
