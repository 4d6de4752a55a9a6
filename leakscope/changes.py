"""From snapshots to changes: what began, moved, ended and ran since the snapshot before.

Everything after this step (judging, recording) costs as much as changed, not as much as there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from leakscope.model import Changes, Frames, Ran, Snapshot, ThreadKey, ThreadSample
from leakscope.stacks import is_bootstrap, real_frames


class Differ:
    """Remembers the last snapshot and tells the next one as changes."""

    def __init__(self) -> None:
        self._last: dict[ThreadKey, ThreadSample] = {}

    def changes(self, snapshot: Snapshot) -> Changes:
        """What changed since the snapshot before; the first one is all `began`."""
        began: list[ThreadSample] = []
        changed: list[ThreadSample] = []
        ran: list[Ran] = []
        now: dict[ThreadKey, ThreadSample] = {}
        for seen in _once_each(snapshot.threads):
            before = self._last.get(seen.key)
            if before is None:
                began.append(seen)
                now[seen.key] = seen
                continue
            thread = _mended(seen, before)
            now[seen.key] = thread
            if _differs(thread, before):
                changed.append(thread)
            moved = _ran(thread, before)
            if moved:
                ran.append(moved)
        ended = tuple(key for key in self._last if key not in now)
        self._last = now
        return Changes(
            snapshot.taken_at,
            snapshot.elapsed_s,
            tuple(began),
            tuple(changed),
            ended,
            tuple(ran),
            snapshot.os_threads,
            snapshot.native,
            snapshot.tries,
        )


def _once_each(threads: Iterable[ThreadSample]) -> Iterable[ThreadSample]:
    """Each thread once: one that starts or ends can be listed twice, once without frames."""
    listed: dict[ThreadKey, ThreadSample] = {}
    for thread in threads:
        if thread.key not in listed or not listed[thread.key].frames:
            listed[thread.key] = thread
    return listed.values()


def _mended(seen: ThreadSample, before: ThreadSample) -> ThreadSample:
    """The sample with the last known stack and name, where this look got none or a torn one."""
    if _is_torn(seen.frames, before.frames):
        seen = replace(seen, frames=before.frames)
    if seen.name is None and before.name is not None:
        seen = replace(seen, name=before.name)
    return seen


def _is_torn(frames: Frames, before: Frames) -> bool:
    """Whether a stack was read while it changed: its outer end is gone.

    The outermost frame of a thread that Python started stays the same for as long as it lives. A
    dump that does not stop the target can read a frame whose parent is gone already.
    """
    if not real_frames(frames):
        return bool(before)
    return bool(before) and is_bootstrap(before[-1]) and not is_bootstrap(frames[-1])


def _differs(thread: ThreadSample, before: ThreadSample) -> bool:
    return (
        thread.frames != before.frames
        or thread.state is not before.state
        or thread.name != before.name
        or thread.parking != before.parking
    )


def _ran(thread: ThreadSample, before: ThreadSample) -> Ran | None:
    if thread.runs is None or before.runs is None:
        return None
    ticks = (thread.cpu_ticks or 0) - (before.cpu_ticks or 0)
    if thread.runs == before.runs and not ticks:
        return None
    return Ran(thread.key, thread.runs - before.runs, ticks)
