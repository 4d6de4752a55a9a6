"""The form of recordings: changes and gaps to lines and back. Pure: strings in and out, no files.

A line is one JSON value. The first is the head: an object with "leakscope_recording" (the version
of the form), the target, the interval. Each other line is one look: an object with the keys of
_LOOK, those that say nothing left out. A stack is written whole when it first comes, and is a
number from then on; so is a thread. Facts are recorded, not verdicts, so that a better engine can
judge an old recording. A file that ends anywhere is good up to its last whole line.
"""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

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
#   missed   why there is no sample
# Now and then there is a line of what the process takes up, and of the limits of that:
#   usage    [seconds since the watch began, threads, resident bytes, descriptors]
#   limits   [[name, used, allowed, units a thread], ...]
_STATES = tuple(RunState)


class BadRecording(ValueError):
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
        said: dict[str, Any] = {"t": round(look.taken_at, 6), "e": look.elapsed_s}
        if look.tries != 1:
            said["n"] = look.tries
        if isinstance(look, Missed):
            return _line({**said, "missed": look.reason})
        if not look.stacks_read:
            said["k"] = look.unread or 1
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
    """Lines to looks. Raises BadRecording for a line that is none."""

    def __init__(self) -> None:
        self._stacks: dict[int, Frames] = {}
        self._threads: dict[int, ThreadSample] = {}
        self._keys: set[ThreadKey] = set()

    def line(self, text: str) -> Head | Changes | Missed | Resources | End:
        """One line."""
        try:
            said = json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise BadRecording(f"not JSON: {error}") from None
        if not isinstance(said, dict):
            raise BadRecording("not a JSON object")
        try:
            return self._meaning(said)
        except (
            KeyError,
            IndexError,
            TypeError,
            ValueError,
            OverflowError,
            AttributeError,
        ) as error:
            if isinstance(error, BadRecording):
                raise
            raise BadRecording(f"not a line of a recording: {error!r}") from None

    def _meaning(self, said: dict[str, Any]) -> Head | Changes | Missed | Resources | End:
        if MARK in said:
            return _head(said)
        if "ended_by" in said:
            return End(str(said["ended_by"]))
        if "usage" in said:
            return _resources(said)
        taken_at, elapsed_s = finite(said["t"]), finite(said["e"])
        tries = int(said.get("n", 1))
        if "missed" in said:
            return Missed(taken_at, elapsed_s, str(said["missed"]), tries)
        for number, frames in said.get("S", ()):
            self._stacks[int(number)] = tuple(_frame(*frame) for frame in frames)
        gone = set(said.get("x", ()))
        if not gone.isdisjoint(row[0] for part in ("c", "r") for row in said.get(part, ())):
            raise BadRecording("a thread that ended does something in the same look")
        changed = tuple(self._changed(*row) for row in said.get("c", ()))
        began = tuple(self._began(*row) for row in said.get("b", ()))
        ran = tuple(
            Ran(self._threads[number].key, int(runs), int(ticks))
            for number, runs, ticks in said.get("r", ())
        )
        ended = tuple(self._threads.pop(number).key for number in said.get("x", ()))
        self._keys.difference_update(ended)
        return Changes(
            taken_at,
            elapsed_s,
            began,
            changed,
            ended,
            ran,
            _whole(said.get("os")),
            _whole(said.get("nat")),
            tries,
            stacks_read="k" not in said,
            unread=None if said.get("k") in (None, 1) else str(said["k"]),
        )

    def _began(
        self,
        number: int,
        key: list[int | None],
        name: str | None,
        stack: int,
        state: int,
        born_s: float | None,
        parking: list[Any],
        runs: int | None,
        cpu_ticks: int | None,
    ) -> ThreadSample:
        if number in self._threads:
            raise BadRecording(f"thread {number} begins twice")
        pid, tid, start_ticks, handle = key
        thread = ThreadSample(
            ThreadKey(int(pid or 0), _whole(tid), _whole(start_ticks), _whole(handle)),
            _text(name),
            self._stacks[stack],
            _state(state),
            None if born_s is None else finite(born_s),
            _parking(*parking),
            _whole(runs),
            _whole(cpu_ticks),
        )
        if thread.key in self._keys:
            raise BadRecording(f"thread {number} is another one that began before")
        self._keys.add(thread.key)
        self._threads[number] = thread
        return thread

    def _changed(
        self,
        number: int,
        name: str | None,
        stack: int,
        state: int,
        parking: list[Any],
    ) -> ThreadSample:
        before = self._threads[number]
        thread = ThreadSample(
            before.key,
            _text(name),
            self._stacks[stack],
            _state(state),
            before.born_s,
            _parking(*parking),
            before.runs,
            before.cpu_ticks,
        )
        self._threads[number] = thread
        return thread


def _head(said: dict[str, Any]) -> Head:
    if said[MARK] != VERSION:
        raise BadRecording(f"a recording of form {said[MARK]}; this leakscope reads form {VERSION}")
    target = said["target"]
    started_at, began_s = target["started_at"], target["began_s"]
    return Head(
        Target(
            int(target["pid"]),
            None if started_at is None else finite(started_at),
            tuple(map(str, target["command"])),
            _text(target["python"]),
            None if began_s is None else finite(began_s),
        ),
        None if said["interval_s"] is None else finite(said["interval_s"]),
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
        Usage(finite(elapsed_s), int(threads), _whole(rss_bytes), _whole(descriptors)),
        tuple(
            Limit(str(name), int(used), int(allowed), finite(per_thread))
            for name, used, allowed, per_thread in said["limits"]
        ),
    )


def _frame(function: Any, filename: Any, line: Any) -> Frame:
    return Frame(str(function), str(filename), int(line))


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
        None if deadline is None else bool(deadline),
        _whole(futex),
        _whole(child),
        _text(peer),
        None if accepted is None else bool(accepted),
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _state(number: int) -> RunState:
    if number < 0:
        raise BadRecording(f"{number} is no state")
    return _STATES[number]


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def finite(value: Any) -> float:
    """A number of a recording. Raises BadRecording for what is none: NaN and the infinite too."""
    number = float(value)
    if not math.isfinite(number):
        raise BadRecording(f"{value!r} is not a number")
    return number


def _refuse(constant: str) -> float:
    raise BadRecording(f"{constant} is not a number")


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
