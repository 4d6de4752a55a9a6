"""Joins what py-spy and the kernel say of each thread of one process, into samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from leakscope.dumps import DumpedThread
from leakscope.errors import NoSuchProcess
from leakscope.identities import Identities, OsThread
from leakscope.model import (
    Counts,
    Parking,
    RunState,
    Snapshot,
    ThreadKey,
    ThreadSample,
    Tick,
)
from leakscope.pacing import News
from leakscope.sources import kernel
from leakscope.sources.kernel import Counters, KernelThread
from leakscope.sources.pyspy import PySpy
from leakscope.sources.sockets import Sockets
from leakscope.sources.stopping import Clock

# A thread is the kernel's a moment before it is Python's; one that is older and in no dump is not.
NEWBORN_S = 0.5


_NEVER = Counters(-1, None, None)


class _Counted(NamedTuple):
    """The latest counters of a thread, in the words of the samples."""

    counters: Counters
    key: ThreadKey
    counts: Counts


class Join:
    """What is known of the threads of one process, from one sample to the next."""

    def __init__(self, pid: int, pyspy: PySpy, clock: Clock, *, one_look: bool) -> None:
        """With `one_look` no other sample will tell whether a stack is torn: it is taken as is."""
        self._pid = pid
        self._pyspy = pyspy
        self._clock = clock
        self._one_look = one_look
        self._tasks = kernel.Tasks(pid)
        self._sockets = Sockets(pid)
        self._identities = Identities()
        self._ticks_per_s = kernel.ticks_per_s()
        self._boot_s = kernel.boot_elapsed_s(clock.elapsed_s())
        self._now: Mapping[int, Counters] = {}  # the latest counters, by TID
        self._earlier: Mapping[int, Counters] = {}  # those before
        self._before: Mapping[int, Counters] = {}  # those as the dump under way began
        self._began_s = 0.0  # when that was
        self._facts: dict[int, KernelThread] = {}
        self._facts_at: Mapping[int, Counters] = {}  # the counters when these were read
        self._read_at: dict[int, Counters] = {}  # the counters when each stack was read
        self._counted: dict[int, _Counted] = {}
        self._births_s: dict[ThreadKey, float] = {}
        self._native: set[ThreadKey] = set()  # those that are not Python's
        self._python: set[ThreadKey] = set()  # those of the latest dump with the main thread in it
        self._shifted: dict[ThreadKey, int] = {}  # times that our own dumps made a thread run
        self._ended = 0  # threads that ended since the last dump
        self.last_cpu_s = 0.0
        self.longest_dump_s = 0.0

    def close(self) -> None:
        """Give back what is held open."""
        self._tasks.close()

    # --- the kernel alone -----------------------------------------------------------------------

    def knows_counters(self) -> bool:
        """Whether the kernel keeps the counters that tell who has run."""
        if not self._now and kernel.ON_LINUX:
            self.count()
        counters = next(iter(self._now.values()), None)
        return counters is not None and counters.runs is not None

    def count(self) -> None:
        """Read the counters. Raises NoSuchProcess when the process has gone."""
        now = self._tasks.counters()
        if now is None:
            if kernel.ON_LINUX:
                raise NoSuchProcess(f"process {self._pid} has ended")
            return
        self._earlier, self._now = self._now, now
        self._ended += sum(
            tid not in now or now[tid].start_ticks != counters.start_ticks
            for tid, counters in self._earlier.items()
        )
        counted, self._counted = self._counted, {}
        for tid, counters in now.items():
            known = counted.get(tid)
            if known is None or known.counters is not counters:
                known = self._count_anew(tid, counters, known)
            self._counted[tid] = known
        if len(self._births_s) > 2 * len(now) + 64:
            self._forget()

    def _count_anew(self, tid: int, counters: Counters, known: _Counted | None) -> _Counted:
        if known is not None and known.counters.start_ticks == counters.start_ticks:
            key = known.key
        else:
            key = ThreadKey(self._pid, tid, counters.start_ticks)
            self._births_s[key] = counters.start_ticks / self._ticks_per_s - self._boot_s
            self._read_at.pop(tid, None)
        runs, cpu_ticks = counters.runs, None
        if counters.cpu_ns is not None:
            cpu_ticks = counters.cpu_ns * self._ticks_per_s // 1_000_000_000
        if runs is not None and self._shifted:
            runs -= self._shifted.get(key, 0)
        return _Counted(counters, key, Counts(runs, cpu_ticks))

    def _forget(self) -> None:
        living = {known.key for known in self._counted.values()}
        self._births_s = {key: at for key, at in self._births_s.items() if key in living}
        self._native &= living
        self._shifted = {key: runs for key, runs in self._shifted.items() if key in living}
        self._read_at = {tid: at for tid, at in self._read_at.items() if tid in self._counted}

    def news(self) -> News:
        """What has happened since the stacks were read."""
        unread = moved = 0
        for tid, counters in self._now.items():
            read_at = self._read_at.get(tid)
            if read_at is counters or read_at == counters:
                continue
            if read_at is not None or self._earlier.get(tid) is not counters:
                moved += 1
            elif self._counted[tid].key not in self._native:
                unread += 1
        return News(unread, moved, self._ended)

    def tick(self, unread: str | None = None, tries: int = 0) -> Tick:
        """What the kernel alone says now; `unread` is why there are no stacks, if by a fault."""
        counts = {known.key: known.counts for known in self._counted.values()}
        if self._native:
            counts = {key: count for key, count in counts.items() if key not in self._native}
        native = len(self._native) if self._read_at else None
        elapsed_s = self._clock.elapsed_s()
        return Tick(
            time.time(), elapsed_s, counts, self._births_s, len(self._now), native, unread, tries
        )

    # --- with a dump ----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Note how things are as a dump begins."""
        self._sockets.new_look()
        self.count()
        self._began_s = self._clock.elapsed_s()
        self._before = self._now
        self._learn(self._before)

    def _learn(self, counters: Mapping[int, Counters]) -> None:
        """Read what else the kernel knows of the threads that have run since that was read."""
        moved = [tid for tid, count in counters.items() if self._facts_at.get(tid) != count]
        self._facts = {tid: fact for tid, fact in self._facts.items() if tid in counters}
        self._facts.update(self._tasks.details(moved))
        self._facts_at = counters

    def snapshot(
        self, tries: int, is_another_process: Callable[[], bool], *, with_unread: bool
    ) -> Snapshot:
        """The threads with their stacks, by the dump that is under way or else a new one.

        `with_unread` adds the threads that the kernel knows and this dump does not yet.
        """
        dumped = self._dump()
        if is_another_process():
            raise NoSuchProcess(f"process {self._pid} has ended")
        if not self._before:
            alone = tuple(_without_kernel(self._pid, thread) for thread in dumped)
            return Snapshot(time.time(), self._began_s, alone, tries=tries)
        self.count()
        if self._pyspy.blocking:
            self._note_shift()
        tids = self._tids(dumped)
        native = self._note_native(dumped, tids)
        self._read_at = {}
        threads = [
            self._thread(thread, tid) if tid is not None else _without_kernel(self._pid, thread)
            for thread in dumped
            for tid in [tids.get(thread.handle)]
            # Where the others are told by the kernel, so is this one: as not read yet.
            if tid in self._counted or (tid is None and not with_unread)
        ]
        threads += self._others(set(tids.values()), with_unread=with_unread)
        self._ended = 0
        elapsed_s = self._clock.elapsed_s()
        return Snapshot(time.time(), elapsed_s, tuple(threads), len(self._now), native, tries)

    def _dump(self) -> tuple[DumpedThread, ...]:
        spent_s = self._pyspy.cpu_s
        try:
            return self._pyspy.dump()
        finally:
            self.last_cpu_s = self._pyspy.cpu_s - spent_s
            self.longest_dump_s = max(self.longest_dump_s, self._pyspy.last_s)

    def _tids(self, dumped: tuple[DumpedThread, ...]) -> dict[int, int]:
        """The kernel's id of each dumped thread, by its handle, as far as it can be told."""
        given = {t.handle: t.os_thread_id for t in dumped if t.os_thread_id is not None}
        if not given and dumped:
            return self._matched(dumped)
        if any(tid not in self._now and tid not in self._before for tid in given.values()):
            outer = kernel.inner_tids(self._pid)
            if any(inner != tid for inner, tid in outer.items()):
                return {handle: outer[tid] for handle, tid in given.items() if tid in outer}
        return given

    def _matched(self, dumped: tuple[DumpedThread, ...]) -> dict[int, int]:
        """By stack or by birth, where py-spy doesn't say (Python 3.8 to 3.10).

        Of a thread that began or ended during the dump, its stack may be another's by now.
        """
        living = {
            tid: OsThread(counters.start_ticks, fact.stack_pointer if fact else None)
            for tid, counters in self._before.items()
            for fact in [self._facts.get(tid)]
            if tid in self._now and self._now[tid].start_ticks == counters.start_ticks
        }
        same = len(living) == len(self._before) == len(self._now)
        return self._identities.match(
            dumped, living, self._tasks.stacks(), main_tid=self._pid, held_still=same
        )

    def _note_shift(self) -> None:
        """A blocking dump itself makes every thread run: that is not to be taken for work."""
        for tid, known in list(self._counted.items()):
            before, after = self._before.get(tid), known.counters
            if before is None or before.start_ticks != after.start_ticks:
                continue
            if after.runs is not None and before.runs is not None:
                shifted = self._shifted.get(known.key, 0) + after.runs - before.runs
                self._shifted[known.key] = shifted
                self._counted[tid] = self._count_anew(tid, after, known)

    def _note_native(self, dumped: tuple[DumpedThread, ...], tids: Mapping[int, int]) -> int:
        """Note the threads that are not Python's, old enough to be and not in the dump; how many.

        Where not each dumped thread could be found, some of the others are Python's: those whose
        stack is not known to be elsewhere.
        """
        python = set(tids.values())
        now_ticks = (self._began_s + self._boot_s) * self._ticks_per_s
        others = [
            known
            for tid, known in self._counted.items()
            if tid not in python
            and tid in self._before
            and (self._pid in python or known.key not in self._python)
            and now_ticks - known.counters.start_ticks > NEWBORN_S * self._ticks_per_s
        ]
        unfound = len(dumped) - len(tids)
        if unfound:
            facts = self._facts
            certain = [k for k in others if (f := facts.get(k.key.tid or 0)) and f.stack_pointer]
            self._native = {known.key for known in certain}
        else:
            self._native = {known.key for known in others}
        return max(len(others) - unfound, 0)

    def _thread(self, dumped: DumpedThread, tid: int) -> ThreadSample:
        """A thread with what the kernel knows of it."""
        before, known = self._before.get(tid), self._counted[tid]
        fact = self._facts.get(tid)
        held_still = self._pyspy.blocking or (
            known.counters == before and (fact is None or fact.state != "R")
        )
        # Of what ran meanwhile it is not known what it does now: that it moved is news.
        self._read_at[tid] = known.counters if held_still else before or _NEVER
        return ThreadSample(
            known.key,
            dumped.name,
            dumped.frames,
            _state(dumped, fact),
            self._births_s[known.key],
            self._parking(fact),
            known.counts.runs,
            known.counts.cpu_ticks,
            held_still or self._one_look,
        )

    def _others(self, dumped: set[int], *, with_unread: bool) -> Iterator[ThreadSample]:
        """The threads that are not in this dump and yet are Python's, without a stack.

        Those that no dump has shown yet, and those that one has shown before: a process with
        several interpreters shows one of them, and not always the same.
        """
        if self._pid in dumped:
            self._python = {self._counted[tid].key for tid in dumped if tid in self._counted}
        for tid, known in self._counted.items():
            hidden = self._pid not in dumped and known.key in self._python
            if tid not in dumped and (hidden or (with_unread and known.key not in self._native)):
                yield ThreadSample(
                    known.key,
                    None,
                    (),
                    RunState.RAN,
                    self._births_s[known.key],
                    runs=known.counts.runs,
                    cpu_ticks=known.counts.cpu_ticks,
                )

    def _parking(self, fact: KernelThread | None) -> Parking:
        if fact is None or fact.call is None:
            return Parking(None, fact.wchan if fact else None)
        call = fact.call
        connection = None
        if call.descriptor is not None:
            connection = self._sockets.connection(call.descriptor)
        return Parking(
            call.number,
            fact.wchan,
            call.deadline,
            call.futex,
            call.child,
            connection.peer if connection else None,
            connection.accepted if connection else None,
        )


def _state(dumped: DumpedThread, fact: KernelThread | None) -> RunState:
    if dumped.owns_gil or (fact is not None and fact.state == "R"):
        return RunState.RUNNING
    return RunState.UNKNOWN if fact is None else RunState.BLOCKED


def _without_kernel(pid: int, dumped: DumpedThread) -> ThreadSample:
    """A thread as py-spy alone knows it."""
    if kernel.ON_LINUX:
        # The thread could not be found in /proc; py-spy's own guess is then often wrong.
        state = RunState.UNKNOWN
    else:
        running = dumped.active or dumped.owns_gil
        state = RunState.RUNNING if running else RunState.BLOCKED
    handle = dumped.handle if dumped.os_thread_id is None else None
    key = ThreadKey(pid, dumped.os_thread_id, None, handle)
    return ThreadSample(key, dumped.name, dumped.frames, state)
