"""Which OS thread each dumped thread is. Pure.

From Python 3.11 on py-spy says. For 3.8 to 3.10 it doesn't when it reads without stopping the
target, but gives each thread's pthread handle: the address of a structure at the upper end of the
thread's own stack (glibc's and musl's allocate both together). The kernel tells where the stack
pointer of each thread stands. So the thread whose stack pointer stands in the same piece of memory,
below the handle, is the one. Threads that were running show no pointer; py-spy lists threads newest
first, so that these are told by the order of births, where the counts agree.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from leakscope.dumps import DumpedThread


class OsThread(NamedTuple):
    """One OS thread that was there before a dump and after it."""

    start_ticks: int
    stack_pointer: int | None  # None while it runs


Stacks = Sequence[tuple[int, int]]  # ranges of memory, in order: start, end


class Identities:
    """Remembers for each pthread handle the TID that was found for it."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}  # handle -> TID, start ticks

    def match(
        self,
        dumped: Sequence[DumpedThread],
        living: Mapping[int, OsThread],
        stacks: Stacks,
        *,
        main_tid: int,
        held_still: bool,
    ) -> dict[int, int]:
        """The TID of each handle, for one dump, as far as it can be told.

        `living` are the OS threads that live through the dump, by TID; `held_still` says that no
        other one did. A handle keeps its TID for as long as that thread lives.
        """
        handles = [thread.handle for thread in dumped]
        present = set(handles)
        known = {
            handle: (tid, ticks)
            for handle, (tid, ticks) in self._known.items()
            if handle in present and tid in living and living[tid].start_ticks == ticks
        }
        taken = {tid for tid, _ in known.values()}
        open_ = {tid: thread for tid, thread in living.items() if tid not in taken}
        unmatched = [handle for handle in handles if handle not in known]
        found = _by_stack(unmatched, open_, stacks)
        # The oldest is the main thread, whose structure is not on its stack: the kernel made that.
        if handles and handles[-1] in unmatched and handles[-1] not in found and main_tid in open_:
            found[handles[-1]] = main_tid
        for handle, tid in found.items():
            known[handle] = (tid, open_.pop(tid).start_ticks)
        unmatched = [handle for handle in unmatched if handle not in found]
        if held_still and len(unmatched) == len(open_):
            # Newest first, like py-spy; threads born in the same tick in the order of their ids.
            order = sorted(open_, key=lambda tid: (open_[tid].start_ticks, tid), reverse=True)
            for handle, tid in zip(unmatched, order, strict=True):
                known[handle] = (tid, open_[tid].start_ticks)
        self._known = known
        return {handle: tid for handle, (tid, _) in known.items()}


def _by_stack(
    handles: Sequence[int], threads: Mapping[int, OsThread], stacks: Stacks
) -> dict[int, int]:
    """The one thread whose stack pointer stands below each handle, in the same range of memory."""
    starts = [start for start, _ in stacks]

    def range_of(address: int) -> int | None:
        i = bisect_right(starts, address) - 1
        return i if i >= 0 and address < stacks[i][1] else None

    by_range: dict[int, list[tuple[int, int]]] = {}
    for tid, thread in threads.items():
        if thread.stack_pointer is not None:
            at = range_of(thread.stack_pointer)
            if at is not None:
                by_range.setdefault(at, []).append((tid, thread.stack_pointer))
    in_range: dict[int, list[int]] = {}
    for handle in handles:
        at = range_of(handle)
        if at is not None:
            in_range.setdefault(at, []).append(handle)
    found: dict[int, int] = {}
    for at, (handle, *others) in in_range.items():
        pointers = by_range.get(at, [])
        if not others and len(pointers) == 1 and pointers[0][1] < handle:
            found[handle] = pointers[0][0]
    return found
