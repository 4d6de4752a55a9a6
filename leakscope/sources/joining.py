"""Joins what py-spy and the kernel say of each thread of one process, into samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from leakscope.changes import unread_thread
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
from leakscope.sources.pyspy import PYSPY_LIMIT, PySpy
from leakscope.sources.sockets import Sockets
from leakscope.sources.stopping import Clock

# A thread is the kernel's a moment before it is Python's; one that is older and in no dump is not.
NEWBORN_S = 0.5


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
        self._counted: dict[int, _Counted] = {}  # the latest counters, by TID
        self._before: Mapping[int, Counters] = {}  # those as the dump under way began
        self._began_s = 0.0  # when that was
        self._facts: dict[int, KernelThread] = {}
        self._facts_at: Mapping[int, Counters] = {}  # the counters when these were read
        self._unread: set[int] = set()  # TIDs of those whose stack was never read
        self._settled: set[int] = set()  # of these, those that did not run since the tick before
        self._moved: set[int] = set()  # TIDs of those that ran since their stack was read
        self._changed: set[int] = set()  # TIDs of those new or run since the sample before
        self._gone: list[ThreadKey] = []  # those that ended since the sample before
        self._has_stacks = False
        self._births_s: dict[ThreadKey, float] = {}
        self._native: set[ThreadKey] = set()  # those that are not Python's
        self._python: set[ThreadKey] = set()  # those of the latest dump with the main thread in it
        self._shifted: dict[ThreadKey, int] = {}  # times that our own dumps made a thread run
        self._is_stopped = False  # it was held when they were counted since the sample before
        self._ended = 0  # threads that ended since the last dump
        self.last_cpu_s = 0.0
        self.longest_dump_s = 0.0

    def close(self) -> None:
        """Give back what is held open."""
        self._tasks.close()

    # --- the kernel alone -----------------------------------------------------------------------

    def knows_counters(self) -> bool:
        """Whether the kernel keeps the counters that tell who has run."""
        if not self._counted and kernel.ON_LINUX:
            self.count()
        known = next(iter(self._counted.values()), None)
        return known is not None and known.counters.runs is not None

    def count(self) -> None:
        """Read the counters. Raises NoSuchProcess when the process has gone."""
        # On both sides of it, since counters that a stop has moved are to be told with it.
        self._is_stopped |= kernel.is_stopped(self._pid)
        now = self._tasks.counters()
        self._is_stopped |= kernel.is_stopped(self._pid)
        if now is None:
            if kernel.ON_LINUX:
                raise NoSuchProcess(f"process {self._pid} has ended")
            return
        for tid in self._tasks.gone:
            self._forget(tid)
        for tid in self._tasks.changed:
            counters = now[tid]
            known = self._counted.get(tid)
            self._counted[tid] = self._count_anew(tid, counters, known)
            self._changed.add(tid)
        self._settled = self._unread.difference(self._tasks.changed)

    def _count_anew(self, tid: int, counters: Counters, known: _Counted | None) -> _Counted:
        if known is None:
            key = ThreadKey(self._pid, tid, counters.start_ticks)
            self._births_s[key] = counters.start_ticks / self._ticks_per_s - self._boot_s
            self._unread.add(tid)
        else:
            key = known.key
            if tid not in self._unread:
                self._moved.add(tid)
        runs, cpu_ticks = counters.runs, None
        if counters.cpu_ns is not None:
            cpu_ticks = counters.cpu_ns * self._ticks_per_s // 1_000_000_000
        if runs is not None and self._shifted:
            runs -= self._shifted.get(key, 0)
        return _Counted(counters, key, Counts(runs, cpu_ticks))

    def _forget(self, tid: int) -> None:
        key = self._counted.pop(tid).key
        if key not in self._native:
            self._gone.append(key)
            self._ended += 1
        for of_tids in (self._changed, self._unread, self._moved):
            of_tids.discard(tid)
        self._native.discard(key)
        self._shifted.pop(key, None)
        self._facts.pop(tid, None)
        del self._births_s[key]

    def news(self) -> News:
        """What has happened since the stacks were read; who is new, and still runs, has moved."""
        natives = {key.tid for key in self._native}
        settled = len(self._settled - natives)
        unsettled = len(self._unread - natives) - settled
        return News(settled, len(self._moved) + unsettled, self._ended)

    def too_many(self) -> str | None:
        """Why a dump would fail, where it is known how many threads are Python's."""
        threads = len(self._counted) - len(self._native)
        if not self._has_stacks or threads <= PYSPY_LIMIT:
            return None
        return f"there are {threads} threads, and py-spy reads at most {PYSPY_LIMIT}"

    def tick(self, unread: str | None = None, tries: int = 0) -> Tick:
        """What the kernel alone says now; `unread` is why there are no stacks, if by a fault."""
        changed, gone, is_stopped = self._taken()
        counts = {known.key: known.counts for known in changed if known.key not in self._native}
        return Tick(
            time.time(),
            self._clock.elapsed_s(),
            counts,
            gone,
            self._births_s,
            len(self._counted),
            len(self._native) if self._has_stacks else None,
            unread,
            tries,
            is_stopped,
        )

    def _taken(self) -> tuple[list[_Counted], tuple[ThreadKey, ...], bool]:
        """Who is new or has run, who has ended, whether it was held: since the sample before."""
        changed = [self._counted[tid] for tid in self._changed]
        gone, is_stopped = tuple(self._gone), self._is_stopped
        self._changed.clear()
        self._gone.clear()
        self._is_stopped = False
        return changed, gone, is_stopped

    # --- with a dump ----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Note how things are as a dump begins."""
        self._sockets.new_look()
        self.count()
        self._began_s = self._clock.elapsed_s()
        self._before = {tid: known.counters for tid, known in self._counted.items()}
        self._learn(self._before)

    def _learn(self, counters: Mapping[int, Counters]) -> None:
        """Read what else the kernel knows of the threads that have run since that was read."""
        moved = [tid for tid, count in counters.items() if self._facts_at.get(tid) != count]
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
        self._has_stacks = True
        _, _, is_stopped = self._taken()
        self._unread, self._moved = set(self._counted), set()
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
        return Snapshot(
            time.time(), elapsed_s, tuple(threads), len(self._counted), native, tries, is_stopped
        )

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
        if any(tid not in self._counted and tid not in self._before for tid in given.values()):
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
            if tid in self._counted
            and self._counted[tid].counters.start_ticks == counters.start_ticks
        }
        same = len(living) == len(self._before) == len(self._counted)
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
        self._unread.discard(tid)
        if not held_still:  # what it does now is not known: that it moved is news
            self._moved.add(tid)
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
                yield unread_thread(known.key, known.counts, self._births_s[known.key])

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
