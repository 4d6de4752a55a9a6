"""The form of recordings: changes and gaps to lines and back. Pure: strings in and out, no files.

A line is one JSON value. The first is the head: an object with "leakscope_recording" (the version
of the form), the target, the interval. Each other line is one look: an object with the keys of
_LOOK, those that say nothing left out. A stack is written whole when it first comes, and is a
number from then on; so is a thread. Facts are recorded, not verdicts, so that a better engine can
judge an old recording. A file that ends anywhere is good up to its last whole line.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from leakscope.checked import (
    BadValue,
    count,
    decoded,
    fields,
    finite,
    flag,
    items,
    seconds,
    span,
    text,
    whole,
    wrong,
)
from leakscope.limits import Limit, Resources, Usage
from leakscope.model import (
    Changes,
    Frame,
    Frames,
    Missed,
    Parking,
    Ran,
    RunState,
    Target,
    ThreadKey,
    ThreadSample,
)

VERSION = 1
MARK = "leakscope_recording"

# The keys of a look:
#   t, e     when: Unix seconds, seconds since the watch began
#   n        dumps that it took (1 is left out)
#   os, nat  OS threads, native threads
#   S        stacks that come for the first time: [number, [[function, file, line], ...]]
#   b        threads that began: [number, [pid, tid, start, handle], name, stack, state, born,
#            parking, runs, cpu]
#   c        threads that changed: [number, name, stack, state, parking]; parking is [syscall,
#            wchan, deadline, futex, child, peer, accepted], what is unknown at its end left out
#   x        threads that ended: numbers
#   r        threads that ran: [number, runs, cpu ticks]
#   k        1: no stacks were read, only counters; or in words, why there are no stacks though
#            it was time to read them
#   h        1: something held the main thread when it was looked at
#   missed   why there is no sample
# Now and then there is a line of what the process takes up, and of the limits of that:
#   usage    [seconds since the watch began, threads, resident bytes, descriptors]
#   limits   [[name, used, allowed, units a thread], ...]
_STATES = tuple(RunState)


# What a reader keeps is bounded, however long the file: a small gzip can hold a hundred gigabytes.
MAX_THREADS = 2**18  # alive at the same time; the kernel has 2**22 ids for all processes
MAX_STACKS_BYTES = 2**30  # of a day's watch of a busy server they are a hundredth of it
_FRAME_BYTES = 300  # what Python takes for a frame, besides its letters
_LONGEST_NAME = 2**13  # py-spy reads texts of up to 4095 characters


class BadRecording(BadValue):
    """A line that is not of a recording; `str()` says what is wrong with it."""


class Head(NamedTuple):
    """What a recording says of itself."""

    target: Target
    interval_s: float | None


class End(NamedTuple):
    """The last line of a recording that was not cut off."""

    ended_by: str


class Encoder:
    """Looks to lines. Remembers which stacks and threads were written."""

    def __init__(self) -> None:
        self._stacks: dict[Frames, int] = {}
        self._threads: dict[ThreadKey, int] = {}
        self._next_thread = 0

    def head(self, head: Head) -> str:
        """The first line."""
        target = head.target
        return _line(
            {
                MARK: VERSION,
                "target": {
                    "pid": target.pid,
                    "started_at": target.started_at,
                    "command": target.command,
                    "python": target.python,
                    "began_s": target.began_s,
                },
                "interval_s": head.interval_s,
            }
        )

    def look(self, look: Changes | Missed | Resources) -> str:
        """A sample, a gap, or the resources."""
        if isinstance(look, Resources):
            return _resources_said(look)
        said: dict[str, Any] = {"t": look.taken_at, "e": look.elapsed_s}
        if look.tries != 1:
            said["n"] = look.tries
        if isinstance(look, Missed):
            return _line({**said, "missed": look.reason})
        if not look.stacks_read:
            said["k"] = look.unread or 1
        if look.is_stopped:
            said["h"] = 1
        if look.os_threads is not None:
            said["os"] = look.os_threads
        if look.native is not None:
            said["nat"] = look.native
        new_stacks: list[Any] = []
        changed = [self._changed(thread, new_stacks) for thread in look.changed]
        began = [self._began(thread, new_stacks) for thread in look.began]
        ran = [[self._threads[ran.key], ran.runs, ran.cpu_ticks] for ran in look.ran]
        ended = [self._threads.pop(key) for key in look.ended]
        parts = {"S": new_stacks, "b": began, "c": changed, "x": ended, "r": ran}
        return _line({**said, **{name: part for name, part in parts.items() if part}})

    def end(self, end: End) -> str:
        """The last line."""
        return _line({"ended_by": end.ended_by})

    def _stack(self, frames: Frames, new: list[Any]) -> int:
        number = self._stacks.get(frames)
        if number is None:
            number = self._stacks[frames] = len(self._stacks)
            new.append([number, frames])
        return number

    def _began(self, thread: ThreadSample, new: list[Any]) -> list[Any]:
        number = self._threads[thread.key] = self._next_thread
        self._next_thread += 1
        return [
            number,
            thread.key,
            thread.name,
            self._stack(thread.frames, new),
            _STATES.index(thread.state),
            thread.born_s,
            _parking_said(thread.parking),
            thread.runs,
            thread.cpu_ticks,
        ]

    def _changed(self, thread: ThreadSample, new: list[Any]) -> list[Any]:
        stack = self._stack(thread.frames, new)
        state = _STATES.index(thread.state)
        parking = _parking_said(thread.parking)
        return [self._threads[thread.key], thread.name, stack, state, parking]


class Decoder:
    """Lines to looks, in their order. Raises BadRecording for a line that cannot come next."""

    def __init__(self) -> None:
        self._stacks: dict[int, Frames] = {}
        self._threads: dict[int, ThreadSample] = {}
        self._keys: set[ThreadKey] = set()
        self._stacks_bytes = 0
        self._latest_s: float | None = None
        self._has_head = self._has_ended = False

    def line(self, line: str) -> Head | Changes | Missed | Resources | End:
        """One line."""
        try:
            said = decoded(line)
        except BadValue as error:
            raise BadRecording(str(error)) from None
        if not isinstance(said, dict):
            raise BadRecording("not a JSON object")
        if self._has_ended:
            raise BadRecording("it goes on after its end")
        try:
            return self._meaning(said)
        except BadRecording:
            raise
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BadRecording(f"not a line of a recording: {wrong(error)}") from None

    def _meaning(self, said: dict[str, Any]) -> Head | Changes | Missed | Resources | End:
        if MARK in said:
            if self._has_head:
                raise BadRecording("a second recording begins")
            self._has_head = True
            return _head(said)
        if "ended_by" in said:
            self._has_ended = True
            return End(text(said["ended_by"]))
        if "usage" in said:
            return _resources(said)
        taken_at, elapsed_s = seconds(said["t"]), seconds(said["e"])
        if self._latest_s is not None and elapsed_s < self._latest_s:
            raise BadRecording("its time runs backwards")
        self._latest_s = elapsed_s
        tries = count(said.get("n", 1))
        if "missed" in said:
            return Missed(taken_at, elapsed_s, text(said["missed"]), tries)
        return self._changes(said, taken_at, elapsed_s, tries)

    def _changes(
        self, said: dict[str, Any], taken_at: float, elapsed_s: float, tries: int
    ) -> Changes:
        new_stacks, rows_began, rows_changed, gone, rows_ran = (
            items(said.get(part, [])) for part in ("S", "b", "c", "x", "r")
        )
        for number, frames in new_stacks:
            if whole(number) in self._stacks:
                raise BadRecording(f"stack {number} comes twice")
            self._stacks[number] = self._new_stack(frames)
        if not set(map(whole, gone)).isdisjoint(
            whole(row[0]) for row in (*rows_changed, *rows_ran)
        ):
            raise BadRecording("a thread that ended does something in the same look")
        changed = tuple(self._changed(*row) for row in rows_changed)
        began = tuple(self._began(*row) for row in rows_began)
        ran = tuple(
            Ran(self._known(number).key, count(runs), count(ticks))
            for number, runs, ticks in rows_ran
        )
        ended = tuple(self._known(number).key for number in gone)
        if len(set(ended)) < len(ended):
            raise BadRecording("a thread ends twice")
        for number in gone:
            del self._threads[number]
        self._keys.difference_update(ended)
        return Changes(
            taken_at,
            elapsed_s,
            began,
            changed,
            ended,
            ran,
            _count(said.get("os")),
            _whole(said.get("nat")),
            tries,
            stacks_read="k" not in said,
            unread=None if said.get("k") in (None, 1) else str(said["k"]),
            is_stopped="h" in said,
        )

    def _new_stack(self, frames: Any) -> Frames:
        stack = tuple(_frame(*frame) for frame in items(frames))
        self._stacks_bytes += _FRAME_BYTES * len(stack)
        self._stacks_bytes += sum(len(frame.function) + len(frame.filename) for frame in stack)
        if self._stacks_bytes > MAX_STACKS_BYTES:
            raise BadRecording("with it there are more stacks than can be kept")
        return stack

    def _known(self, number: Any) -> ThreadSample:
        thread = self._threads.get(whole(number))
        if thread is None:
            raise BadRecording(f"thread {number} has not begun, or has ended")
        return thread

    def _stack_at(self, number: Any) -> Frames:
        frames = self._stacks.get(whole(number))
        if frames is None:
            raise BadRecording(f"there is no stack {number}")
        return frames

    def _began(
        self,
        number: Any,
        key: Any,
        name: Any,
        stack: Any,
        state: Any,
        born_s: Any,
        parking: Any,
        runs: Any,
        cpu_ticks: Any,
    ) -> ThreadSample:
        if whole(number) in self._threads:
            raise BadRecording(f"thread {number} begins twice")
        if len(self._threads) >= MAX_THREADS:
            raise BadRecording(f"with it there are more than {MAX_THREADS} threads")
        pid, tid, start_ticks, handle = items(key)
        thread = ThreadSample(
            ThreadKey(count(pid), _count(tid), _count(start_ticks), _count(handle)),
            _text(name),
            self._stack_at(stack),
            _state(state),
            None if born_s is None else seconds(born_s),
            _parking(*items(parking)),
            _count(runs),
            _count(cpu_ticks),
        )
        if thread.key in self._keys:
            raise BadRecording(f"thread {number} is another one that began before")
        self._keys.add(thread.key)
        self._threads[number] = thread
        return thread

    def _changed(
        self,
        number: Any,
        name: Any,
        stack: Any,
        state: Any,
        parking: Any,
    ) -> ThreadSample:
        before = self._known(number)
        thread = ThreadSample(
            before.key,
            _text(name),
            self._stack_at(stack),
            _state(state),
            before.born_s,
            _parking(*items(parking)),
            before.runs,
            before.cpu_ticks,
        )
        self._threads[number] = thread
        return thread


def _head(said: dict[str, Any]) -> Head:
    form = whole(said[MARK])
    if form != VERSION:
        raise BadRecording(f"a recording of form {form}; this leakscope reads form {VERSION}")
    target, interval_s = fields(said["target"]), said["interval_s"]
    started_at, began_s = target["started_at"], target["began_s"]
    return Head(
        Target(
            count(target["pid"]),
            None if started_at is None else seconds(started_at),
            tuple(map(text, items(target["command"]))),
            _text(target["python"]),
            None if began_s is None else seconds(began_s),
        ),
        None if interval_s is None else span(interval_s),
    )


def _resources_said(resources: Resources) -> str:
    usage = resources.usage
    return _line(
        {
            "usage": [usage.elapsed_s, usage.threads, usage.rss_bytes, usage.descriptors],
            "limits": [
                [limit.name, limit.used, limit.allowed, limit.per_thread]
                for limit in resources.limits
            ],
        }
    )


def _resources(said: dict[str, Any]) -> Resources:
    elapsed_s, threads, rss_bytes, descriptors = said["usage"]
    return Resources(
        Usage(seconds(elapsed_s), count(threads), _count(rss_bytes), _count(descriptors)),
        tuple(
            Limit(text(name), count(used), count(allowed), finite(per_thread))
            for name, used, allowed, per_thread in items(said["limits"])
        ),
    )


def _frame(function: Any, filename: Any, line: Any) -> Frame:
    return Frame(text(function), text(filename), whole(line))


def _parking_said(parking: Parking) -> list[Any]:
    said = list(parking)
    while said and said[-1] is None:
        said.pop()
    return said


def _parking(
    syscall: Any = None,
    wchan: Any = None,
    deadline: Any = None,
    futex: Any = None,
    child: Any = None,
    peer: Any = None,
    accepted: Any = None,
) -> Parking:
    return Parking(
        _whole(syscall),
        _text(wchan),
        None if deadline is None else flag(deadline),
        _whole(futex),
        _whole(child),
        _text(peer),
        None if accepted is None else flag(accepted),
    )


def _text(value: Any) -> str | None:
    if value is not None and len(text(value)) > _LONGEST_NAME:
        raise BadRecording(f"a name of {len(value)} characters")
    return None if value is None else text(value)


def _whole(value: Any) -> int | None:
    return None if value is None else whole(value)


def _count(value: Any) -> int | None:
    return None if value is None else count(value)


def _state(number: Any) -> RunState:
    if whole(number) not in range(len(_STATES)):
        raise BadRecording(f"{number} is no state")
    return _STATES[int(number)]


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
