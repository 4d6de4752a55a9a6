"""A living process as a source of samples: py-spy's stacks joined with the kernel's facts."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from leakscope.dumps import DumpedThread
from leakscope.errors import DumpFailed, DumpHung, LeakscopeError, NoSuchProcess, Unsupported
from leakscope.identities import Identities
from leakscope.model import (
    Missed,
    Parking,
    RunState,
    Sample,
    Snapshot,
    ThreadKey,
    ThreadSample,
)
from leakscope.report import EndedBy
from leakscope.sources import kernel
from leakscope.sources.kernel import KernelThread
from leakscope.sources.pyspy import PySpy
from leakscope.sources.sockets import Sockets
from leakscope.sources.stopping import Clock, Stop

_log = logging.getLogger(__name__)

# A dump fails about once in 15 while threads come and go as fast as Python can make them, and up to
# five times in a row; so it is tried again, for at most half of the interval.
MIN_TRIES = 5
# The first sample is late by as much as it took to start; a last one that is due that much after
# the end is still within the duration that was asked for.
_LATE_S = 0.1


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to sample, and for how long."""

    interval_s: float = 1.0
    duration_s: float | None = None
    count: int | None = None


class LiveSource:
    """Samples a process at an interval until it is time to end; `ended_by` says why it did."""

    def __init__(
        self,
        pid: int,
        schedule: Schedule,
        stop: Stop,
        *,
        blocking: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.pid = pid
        self.schedule = schedule
        self.ended_by = EndedBy.ONE_SAMPLE
        self.clock = clock or Clock()
        self._stop = stop
        self._blocking = blocking
        self._first_s = 0.0
        self._pyspy = PySpy(pid, blocking=blocking)
        self._identities = Identities()
        self._sockets = Sockets(pid)
        self._perturbed: dict[tuple[int, int], int] = {}
        self._ticks_per_s = kernel.ticks_per_s()
        self._boot_s = kernel.boot_elapsed_s(self.clock.elapsed_s())
        state = kernel.process_state(pid)
        if kernel.ON_LINUX and state is None:
            raise NoSuchProcess(f"there is no process {pid}")
        self._start_ticks = state.start_ticks if state else None

    def samples(self) -> Iterator[Sample]:
        """One sample each interval. Raises LeakscopeError when not one can be had."""
        taken = 0
        had_one = False
        why = ""
        while True:
            began_s = self.clock.elapsed_s()
            self._first_s = began_s if not taken else self._first_s
            try:
                sample = self.look()
            except LeakscopeError as error:
                if not had_one:
                    raise
                if isinstance(error, NoSuchProcess):
                    self.ended_by = EndedBy.TARGET_EXITED
                    return
                sample = Missed(time.time(), began_s, str(error))
            if isinstance(sample, Missed):
                why = sample.reason
            else:
                had_one = True
            taken += 1
            yield sample
            ended_by = self._wait_for_next(taken)
            if ended_by:
                self.ended_by = ended_by
                break
        if not had_one:
            raise Unsupported(f"not one sample of process {self.pid} succeeded: {why}")

    def _wait_for_next(self, taken: int) -> EndedBy | None:
        """Wait until the next sample is due; the reason when there is to be none."""
        schedule = self.schedule
        if schedule.count is not None and taken >= schedule.count:
            return EndedBy.COUNT
        # Due times are whole intervals from the first sample, so that delays don't add up.
        done = int((self.clock.elapsed_s() - self._first_s) / schedule.interval_s)
        due_s = self._first_s + (done + 1) * schedule.interval_s
        end_s = schedule.duration_s
        if end_s is not None and due_s > end_s + _LATE_S:
            self._stop.wait(end_s - self.clock.elapsed_s())
            if not self._stop.signalled and not self._stop.target_ended:
                return EndedBy.DURATION
        else:
            self._stop.wait(due_s - self.clock.elapsed_s())
        if self._stop.signalled:
            return EndedBy.SIGNAL
        if self._stop.target_ended or self._is_another_process():
            return EndedBy.TARGET_EXITED
        return None

    def _is_another_process(self) -> bool:
        """Whether the target has ended, or its PID has been given to another process."""
        if self._start_ticks is None:
            return False
        state = kernel.process_state(self.pid)
        return state is None or state.start_ticks != self._start_ticks or state.state in "ZX"

    def look(self) -> Sample:
        """One sample, tried again until it succeeds or half the interval is used up.

        Raises NoSuchProcess when the process has ended.
        """
        began_s = self.clock.elapsed_s()
        tries = 0
        while True:
            tries += 1
            try:
                return self._snapshot(tries)
            except DumpFailed as error:
                _log.debug("try %d: %s", tries, error)
                used_s = self.clock.elapsed_s() - began_s
                enough = tries >= MIN_TRIES and used_s >= self.schedule.interval_s / 2
                enough = enough or isinstance(error, DumpHung)
                if enough or self._stop.wait(0.005):
                    if self._stop.target_ended or self._is_another_process():
                        raise NoSuchProcess(f"process {self.pid} has ended") from None
                    return Missed(time.time(), began_s, str(error), tries)

    def _snapshot(self, tries: int) -> Snapshot:
        self._sockets.new_look()
        facts = kernel.threads(self.pid)
        elapsed_s, taken_at = self.clock.elapsed_s(), time.time()
        dumped = self._pyspy.dump()
        if self._is_another_process():
            raise NoSuchProcess(f"process {self.pid} has ended")
        tids = self._tids(dumped, facts, tries)
        if self._blocking and facts is not None:
            self._note_perturbation(facts)
        native = self._native(facts, set(tids.values()))
        if facts is not None and any(tid not in facts for tid in tids.values()):
            facts = {**(kernel.threads(self.pid) or {}), **facts}  # some began during the dump
        threads = [self._thread(thread, tids.get(thread.handle), facts) for thread in dumped]
        return Snapshot(
            taken_at,
            elapsed_s,
            tuple(thread for thread in threads if thread),
            len(facts) if facts else None,
            native,
            tries,
        )

    def _native(self, facts: Mapping[int, KernelThread] | None, python: set[int]) -> int | None:
        """How many OS threads are not Python's: there before the dump and after it, but not in it.

        A thread is the kernel's a moment before it is Python's, so a newborn one does not count.
        """
        if facts is None:
            return None
        now_ticks = (self.clock.elapsed_s() + self._boot_s) * self._ticks_per_s
        unknown = {
            tid
            for tid, thread in facts.items()
            if tid not in python and now_ticks - thread.start_ticks > self._ticks_per_s / 2
        }
        return len(unknown & (kernel.births(self.pid) or {}).keys()) if unknown else 0

    def _tids(
        self,
        dumped: tuple[DumpedThread, ...],
        facts: Mapping[int, KernelThread] | None,
        tries: int,
    ) -> dict[int, int]:
        """The kernel's id of each dumped thread, by its handle, as far as it can be told."""
        given = {t.handle: t.os_thread_id for t in dumped if t.os_thread_id is not None}
        if facts is None:
            return given
        if not given and dumped:
            return self._matched(dumped, facts, tries)
        if any(tid not in facts for tid in given.values()):
            outer = kernel.inner_tids(self.pid)
            if any(inner != tid for inner, tid in outer.items()):
                return {handle: outer[tid] for handle, tid in given.items() if tid in outer}
        return given

    def _matched(
        self, dumped: tuple[DumpedThread, ...], facts: Mapping[int, KernelThread], tries: int
    ) -> dict[int, int]:
        """By the order of births, where py-spy doesn't say (Python 3.8 to 3.10).

        Threads that begin or end during the dump spoil the order; then the lists before and after
        it differ, and the dump is made anew.
        """
        before = {tid: thread.start_ticks for tid, thread in facts.items()}
        after = kernel.births(self.pid)
        if before != after:
            if self.schedule.count == 1 and tries >= MIN_TRIES:
                return {}  # for one look, stacks without ids are better than nothing
            raise DumpFailed("threads began or ended during the dump")
        matched = self._identities.match(dumped, before)
        return matched if matched is not None else self._identities.known()

    def _note_perturbation(self, before: Mapping[int, KernelThread]) -> None:
        """A blocking dump itself makes every thread run: that is not to be taken for work."""
        for tid, thread in (kernel.threads(self.pid) or {}).items():
            old = before.get(tid)
            if old is None or old.start_ticks != thread.start_ticks:
                continue
            if thread.runs is not None and old.runs is not None:
                key = (tid, thread.start_ticks)
                self._perturbed[key] = self._perturbed.get(key, 0) + thread.runs - old.runs

    def _thread(
        self, dumped: DumpedThread, tid: int | None, facts: Mapping[int, KernelThread] | None
    ) -> ThreadSample | None:
        """The thread with what the kernel knows of it; None when it ended during the dump."""
        if facts is None or tid is None:
            return self._without_kernel(dumped, tid)
        known = facts.get(tid)
        if known is None:
            return None
        running = known.state == "R" or dumped.owns_gil
        runs = known.runs
        if runs is not None:
            runs -= self._perturbed.get((known.tid, known.start_ticks), 0)
        return ThreadSample(
            ThreadKey(self.pid, known.tid, known.start_ticks),
            dumped.name,
            dumped.frames,
            RunState.RUNNING if running else RunState.BLOCKED,
            known.start_ticks / self._ticks_per_s - self._boot_s,
            self._parking(known),
            runs,
            known.cpu_ticks,
        )

    def _parking(self, known: KernelThread) -> Parking:
        call = known.call
        if call is None:
            return Parking(None, known.wchan)
        connection = None
        if call.descriptor is not None:
            connection = self._sockets.connection(call.descriptor)
        return Parking(
            call.number,
            known.wchan,
            call.deadline,
            call.futex,
            call.child,
            connection.peer if connection else None,
            connection.accepted if connection else None,
        )

    def _without_kernel(self, dumped: DumpedThread, tid: int | None) -> ThreadSample:
        if kernel.ON_LINUX:
            # The thread could not be found in /proc; py-spy's own guess is then often wrong.
            state = RunState.UNKNOWN
        else:
            running = dumped.active or dumped.owns_gil
            state = RunState.RUNNING if running else RunState.BLOCKED
        handle = dumped.handle if tid is None else None
        return ThreadSample(
            ThreadKey(self.pid, tid, None, handle), dumped.name, dumped.frames, state
        )
