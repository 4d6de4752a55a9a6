"""Which OS thread each dumped thread is. Pure.

From Python 3.11 on py-spy says. For 3.8 to 3.10 it doesn't when it reads without stopping the
target; but it lists threads newest first, so that the order of births in /proc tells, where the
counts agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from leakscope.dumps import DumpedThread


class Identities:
    """Remembers for each pthread handle the TID that was found for it."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}

    def match(
        self, dumped: Sequence[DumpedThread], births: Mapping[int, int]
    ) -> dict[int, int] | None:
        """The TID of each handle, for one dump; None when the counts don't agree.

        `births` are the start ticks of the OS threads by TID. A handle keeps its TID for as long as
        that OS thread lives; the rest is matched in order. What cannot be matched is left out.
        """
        handles = [thread.handle for thread in dumped]
        living = set(handles)
        known = {
            handle: tid for handle, tid in self._known.items() if tid in births and handle in living
        }
        taken = set(known.values())
        new_handles = [handle for handle in handles if handle not in known]
        # Newest first, like py-spy; threads born in the same tick in the order of their ids.
        free = sorted(
            (tid for tid in births if tid not in taken),
            key=lambda tid: (births[tid], tid),
            reverse=True,
        )
        agreed = len(new_handles) == len(free)
        if agreed:
            known.update(zip(new_handles, free, strict=True))
        self._known = known
        return known if agreed or not new_handles else None

    def known(self) -> dict[int, int]:
        """What is known of the handles of the latest dump."""
        return dict(self._known)
