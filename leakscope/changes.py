"""From samples to changes: what began, moved, ended and ran since the sample before. Pure.

Everything after this step (judging, recording) costs as much as changed, not as much as there is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from leakscope.model import (
    Changes,
    Counts,
    Frame,
    Frames,
    Ran,
    RunState,
    Snapshot,
    ThreadKey,
    ThreadSample,
    Tick,
)
from leakscope.stacks import is_bootstrap, is_thread_run, real_frames


class Differ:
    """Remembers the last sample and tells the next one as changes."""

    def __init__(self) -> None:
        self._last: dict[ThreadKey, ThreadSample] = {}
        self._counts: dict[ThreadKey, Counts] = {}
        self._unsure: dict[ThreadKey, Frames] = {}  # stacks that were read while the thread ran

    def changes(self, sample: Snapshot | Tick) -> Changes:
        """What changed since the sample before; the first one is all `began`."""
        return self._of_snapshot(sample) if isinstance(sample, Snapshot) else self._of_tick(sample)

    def _of_snapshot(self, snapshot: Snapshot) -> Changes:
        began: list[ThreadSample] = []
        changed: list[ThreadSample] = []
        ran: list[Ran] = []
        now: dict[ThreadKey, ThreadSample] = {}
        counts: dict[ThreadKey, Counts] = {}
        unsure, self._unsure = self._unsure, {}
        for seen in _once_each(snapshot.threads):
            before = self._last.get(seen.key)
            thread = seen if seen.held_still else self._agreed(seen, before, unsure.get(seen.key))
            counts[seen.key] = count = Counts(seen.runs, seen.cpu_ticks)
            if before is None:
                began.append(thread)
                now[seen.key] = thread
                continue
            thread = _mended(thread, before)
            now[seen.key] = thread
            if _differs(thread, before):
                changed.append(thread)
            moved = _ran(seen.key, count, self._counts[seen.key])
            if moved:
                ran.append(moved)
        ended = tuple(key for key in self._last if key not in now)
        self._last, self._counts = now, counts
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
            is_stopped=snapshot.is_stopped,
        )

    def _agreed(
        self, seen: ThreadSample, before: ThreadSample | None, unsure: Frames | None
    ) -> ThreadSample:
        """A stack that was read while its thread ran, as far as another look agrees with it.

        Such a stack may be torn: each frame is read at a moment of its own. What two looks in a row
        agree on, from the outer end, is no accident. Until then what was known before holds.
        """
        known = before.frames if before else ()
        if known and _functions(seen.frames) == _functions(known):
            return seen
        self._unsure[seen.key] = seen.frames
        frames = _shared_outer(seen.frames, unsure or ())
        if frames == seen.frames and frames:
            return seen
        state = RunState.RUNNING if seen.state is RunState.RUNNING else RunState.RAN
        return replace(seen, frames=frames if _tells(frames) else known, state=state)

    def _of_tick(self, tick: Tick) -> Changes:
        began: list[ThreadSample] = []
        changed: list[ThreadSample] = []
        ran: list[Ran] = []
        for key, count in tick.counts.items():
            before = self._counts.get(key)
            if before == count:
                continue
            if before is None:
                thread = unread_thread(key, count, tick.births_s[key])
                began.append(thread)
                self._last[key] = thread
                continue
            moved = _ran(key, count, before)
            if moved is None:
                continue
            ran.append(moved)
            thread = self._last[key]
            if thread.state is not RunState.RAN:
                self._last[key] = thread = replace(thread, state=RunState.RAN)
                changed.append(thread)
        self._counts.update(tick.counts)
        ended = tuple(key for key in tick.ended if key in self._last)
        for key in ended:
            del self._last[key], self._counts[key]
        return Changes(
            tick.taken_at,
            tick.elapsed_s,
            tuple(began),
            tuple(changed),
            ended,
            tuple(ran),
            tick.os_threads,
            tick.native,
            tick.tries,
            stacks_read=False,
            unread=tick.unread,
            is_stopped=tick.is_stopped,
        )


def unread_thread(key: ThreadKey, count: Counts, born_s: float) -> ThreadSample:
    """A thread that the kernel knows, and of which no stack was read yet."""
    state = RunState.RAN
    return ThreadSample(key, None, (), state, born_s, runs=count.runs, cpu_ticks=count.cpu_ticks)


def _once_each(threads: Iterable[ThreadSample]) -> Iterable[ThreadSample]:
    """Each thread once: one that starts or ends can be listed twice, once without frames."""
    listed: dict[ThreadKey, ThreadSample] = {}
    for thread in threads:
        if thread.key not in listed or not listed[thread.key].frames:
            listed[thread.key] = thread
    return listed.values()


def _functions(frames: Frames) -> list[tuple[str, str]]:
    return [(frame.function, frame.filename) for frame in frames]


def _shared_outer(frames: Frames, others: Frames) -> Frames:
    """The frames from the outer end inwards whose functions are the same in both stacks."""
    shared: list[Frame] = []
    for frame, other in zip(reversed(frames), reversed(others), strict=False):
        if (frame.function, frame.filename) != (other.function, other.filename):
            break
        shared.append(frame)
    return tuple(reversed(shared))


def _tells(frames: Frames) -> bool:
    """Whether these frames say where a thread is; all threads have those of threading.py."""
    return any(
        not is_bootstrap(frame) and not is_thread_run(frame) for frame in real_frames(frames)
    )


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


def _ran(key: ThreadKey, now: Counts, before: Counts) -> Ran | None:
    if now.runs is None or before.runs is None:
        return None
    ticks = (now.cpu_ticks or 0) - (before.cpu_ticks or 0)
    if now.runs == before.runs and not ticks:
        return None
    return Ran(key, now.runs - before.runs, ticks)
