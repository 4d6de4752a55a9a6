"""A living process as a source of samples: py-spy's stacks joined with the kernel's facts.

At each tick the kernel is asked who is there and who has run. py-spy is called when there is
something that it alone can tell (see pacing); in between, a thread that has not run since its stack
was read still has that stack.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from leakscope.debugging import debug
from leakscope.errors import (
    DumpFailed,
    DumpHung,
    LeakscopeError,
    NoInterpreter,
    NoSuchProcess,
    Unsupported,
)
from leakscope.model import Missed, Sample, Snapshot
from leakscope.pacing import Pace
from leakscope.report import Cost, EndedBy
from leakscope.sources import kernel
from leakscope.sources.budget import Budget
from leakscope.sources.joining import Join
from leakscope.sources.pyspy import PySpy
from leakscope.sources.stopping import Clock, Stop
from leakscope.sources.timetable import Schedule, Timetable

# A dump fails about once in 15 while threads come and go as fast as Python can make them, and up to
# five times in a row; so it is tried again, for at most half of the interval.
MIN_TRIES = 5


class LiveSource:
    """Samples a process at an interval until it is time to end; `ended_by` says why it did."""

    def __init__(
        self,
        pid: int,
        schedule: Schedule,
        stop: Stop,
        *,
        pyspy: PySpy | None = None,
        blocking: bool = False,
        budget: Budget | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`budget` is what dumps may take; without one, each sample is a dump."""
        self.pid = pid
        self.schedule = schedule
        self.ended_by = EndedBy.ONE_SAMPLE
        self.clock = clock or Clock()
        self._stop = stop
        self._pyspy = pyspy or PySpy(pid, blocking=blocking)
        self._budget = budget
        self._pace = Pace(budget.max_share if budget else None)
        self._join = Join(pid, self._pyspy, self.clock, one_look=schedule.count == 1)
        self._dumps = self._failed = self._ticks = 0
        self._has_stacks = False
        state = kernel.process_state(pid)
        if kernel.ON_LINUX and state is None:
            from leakscope.sources import advice

            raise advice.missing(pid)
        self._born = (state.start_ticks, state.image) if state else None

    def close(self) -> None:
        """Give back what is held open, and end a dump that is under way."""
        if self._budget is not None:
            self._budget.drop_claim(self)
        self._pyspy.close()
        self._join.close()

    @property
    def cost(self) -> Cost:
        """What looking has taken so far."""
        blocking = self._pyspy.blocking
        longest_s = self._join.longest_dump_s if blocking else 0.0
        return Cost(self._pyspy.cpu_s, self._dumps, self._failed, self._ticks, longest_s)

    def samples(self) -> Iterator[Sample]:
        """One sample each interval. Raises LeakscopeError when not one can be had."""
        timetable = Timetable(self.schedule, self._stop, self.clock)
        had_one = False
        why = ""
        while True:
            began_s = self.clock.elapsed_s()
            try:
                sample = self.look(last=timetable.is_last())
            except LeakscopeError as error:
                if not had_one:
                    raise
                if isinstance(error, NoSuchProcess):
                    self.ended_by = self._end_of_target()
                    return
                sample = Missed(time.time(), began_s, str(error))
            if isinstance(sample, Missed):
                why = sample.reason
            else:
                had_one = True
            yield sample
            ended_by = timetable.wait()
            if ended_by is EndedBy.TARGET_EXITED or (not ended_by and self._is_another_process()):
                ended_by = self._end_of_target()
            if ended_by:
                self.ended_by = ended_by
                break
        if not had_one:
            raise Unsupported(f"not one sample of process {self.pid} succeeded: {why}")

    def look(self, *, last: bool = False) -> Sample:
        """One sample now; `last` says that none comes after it, so that all is to be known.

        Raises NoSuchProcess when the process has ended, and other LeakscopeErrors when it cannot be
        read at all.
        """
        self._ticks += 1
        began_s = self.clock.elapsed_s()
        if self._pace.every_tick or not self._join.knows_counters():
            return self._dumped(began_s)
        self._join.count()
        too_many = self._join.too_many()
        if too_many and not self._pyspy.is_under_way:
            return self._join.tick(too_many)
        if not self._pyspy.is_under_way and not (last or self._is_due()):
            return self._join.tick()
        return self._dumped_meanwhile(began_s, last=last)

    # --- the end of the target, and when to dump ---------------------------------------------

    def _is_another_process(self) -> bool:
        """Whether the target has ended, or its PID now runs something else."""
        if self._born is None:
            return False
        state = kernel.process_state(self.pid)
        if state is None or state.state in "ZX":
            return True
        return (state.start_ticks, state.image) != self._born

    def _end_of_target(self) -> EndedBy:
        """How the target ended; a program that another one took the place of is over as well."""
        state = kernel.process_state(self.pid)
        if state and self._born and state.start_ticks == self._born[0] and state.state not in "ZX":
            return EndedBy.EXEC
        return EndedBy.TARGET_EXITED

    def _is_due(self) -> bool:
        assert self._budget is not None
        now_s = self.clock.elapsed_s()
        spent_s = 0.0
        if self._pace.has_begun:
            # A process that joined late owes nothing for what the others spent, as they were
            # allowed to, before it came.
            earned_s = self._budget.earned_before_s(self._pace.age_s(now_s))
            spent_s = self._budget.spent_s() - earned_s
        news = self._join.news()
        left_to_others_s = self._budget.claimed_before_s(self)
        if self._pace.is_due(now_s, news, spent_s + left_to_others_s):
            return True
        if self._pace.is_wanted(now_s, news):
            self._budget.claim(self, self._pace.dump_cpu_s)
        else:
            self._budget.drop_claim(self)
        return False

    # --- dumps --------------------------------------------------------------------------------

    def _dumped(self, began_s: float) -> Sample:
        """A sample with its stacks, tried again until it succeeds or half the interval is used."""
        tries = 0
        while True:
            tries += 1
            try:
                self._join.prepare()
                return self._read(tries)
            except DumpFailed as error:
                if self._is_enough(error, tries, began_s) or self._stop.wait(0.005):
                    return self._given_up(error, tries, began_s)

    def _dumped_meanwhile(self, began_s: float, *, last: bool) -> Sample:
        """A sample with its stacks if these can be had within half the interval, else a tick.

        A dump that takes longer goes on while the ticks are held, and is read when it is over. The
        first look waits for it, so that what was there at first is known by its stacks.
        """
        patient = last or self._ticks == 1
        tries = 0
        while True:
            used_s = self.clock.elapsed_s() - began_s
            left_s = max(self.schedule.interval_s / 2 - used_s, 0.0)
            try:
                if not self._pyspy.is_under_way:
                    self._join.prepare()
                    self._pyspy.start()
                tries += 1
                if not self._is_finished(self._pyspy.timeout_s if patient else left_s):
                    return self._join.tick()
                return self._read(tries)
            except DumpFailed as error:
                if self._is_enough(error, tries, began_s) or self._stop.wait(0.005):
                    return self._given_up(error, tries, began_s)

    def _read(self, tries: int) -> Snapshot:
        self._dumps += 1
        try:
            snapshot = self._join.snapshot(
                tries, self._is_another_process, with_unread=not self._pace.every_tick
            )
        except DumpFailed as error:
            self._note_failure(error, self._join.last_cpu_s)
            raise
        self._charge(self._join.last_cpu_s)
        self._pace.dumped(self.clock.elapsed_s(), self._join.last_cpu_s)
        self._has_stacks = True
        if self._budget is not None:
            self._budget.begin()
        return snapshot

    def _is_finished(self, wait_s: float) -> bool:
        """Whether the dump under way is over within this time; what never will be has failed."""
        spent_s = self._pyspy.cpu_s
        try:
            return self._pyspy.is_finished(wait_s)
        except DumpFailed as error:
            self._dumps += 1
            self._note_failure(error, self._pyspy.cpu_s - spent_s)
            raise

    def _note_failure(self, error: DumpFailed, cpu_s: float) -> None:
        self._failed += 1
        self._charge(cpu_s)
        self._pace.failed(self.clock.elapsed_s(), cpu_s, lasting=error.is_lasting)
        # Where no first dump is to be had, looking is paid for all the same.
        if self._budget is not None and self._pace.has_begun:
            self._budget.begin()

    def _charge(self, cpu_s: float) -> None:
        """Note what a dump took; what was spent until the first one was over is start-up."""
        if self._budget is None:
            return
        self._budget.drop_claim(self)
        if self._pace.has_begun:
            self._budget.charge(cpu_s)

    def _is_enough(self, error: DumpFailed, tries: int, began_s: float) -> bool:
        debug("try %d: %s", tries, error)
        used_s = self.clock.elapsed_s() - began_s
        enough = used_s >= self.schedule.interval_s / 2
        if self._pace.every_tick:
            enough = enough and tries >= MIN_TRIES
        return enough or isinstance(error, DumpHung) or error.is_lasting

    def _given_up(self, error: DumpFailed, tries: int, began_s: float) -> Sample:
        if self._stop.target_ended or self._is_another_process():
            raise NoSuchProcess(f"process {self.pid} has ended") from None
        # Stacks that are known go on to hold for what has not run since; where none ever was read,
        # counting threads is worth a report only if py-spy fails for there being too many.
        holds = self._has_stacks and not self._pace.every_tick
        if (holds or isinstance(error, NoInterpreter)) and self._join.knows_counters():
            self._join.count()
            return self._join.tick(str(error), tries)
        return Missed(time.time(), began_s, str(error), tries)
