"""py-spy's JSON read into values. Pure: text in, values out."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, NamedTuple

from leakscope.checked import (
    MAX_VALUES,
    BadValue,
    count,
    decoded,
    fields,
    flag,
    items,
    text,
    whole,
    wrong,
)
from leakscope.model import Frame, Frames


class BadDump(ValueError):
    """A text that is not what `py-spy dump --json` prints; `str()` says what is wrong with it."""


class DumpedThread(NamedTuple):
    """One thread as py-spy gave it."""

    handle: int  # the address of the pthread
    os_thread_id: int | None
    name: str | None
    active: bool
    owns_gil: bool
    frames: Frames


def parse_dump(answer: str | bytes) -> tuple[DumpedThread, ...]:
    """The threads of one dump, in py-spy's order: the newest first. Raises BadDump."""
    threads = _threads_as_laid_out(answer) if isinstance(answer, bytes) else None
    return threads_of(document_of(answer, most=None)) if threads is None else threads


def document_of(answer: str | bytes, most: int | None = MAX_VALUES) -> Any:
    """The JSON of one dump; `most` is how many values may be in it. Raises BadDump."""
    try:
        return decoded(answer, most)
    except BadValue as error:
        raise BadDump(str(error)) from None


# How py-spy lays out its JSON. A line's end is nowhere within a string, so these are found between
# things only, whatever a thread is called.
_BETWEEN_THREADS = b"\n  },\n  {\n"
_FRAMES = b'\n    "frames": ['
_FRAMES_END = b"\n    ],\n"


def _threads_as_laid_out(answer: bytes) -> tuple[DumpedThread, ...] | None:
    """The threads, each distinct stack decoded but once; None for whatever is laid out otherwise.

    A stack is nine tenths of what is printed of a thread, and most threads stand in one of a few.
    """
    if not (answer.startswith(b"[\n  {\n") and answer.endswith(b"\n  }\n]\n")):
        return None
    stacks: dict[bytes, Frames] = {}
    threads: list[DumpedThread] = []
    for part in answer[6:-7].split(_BETWEEN_THREADS):
        head, _, rest = part.partition(_FRAMES)
        stack, end, tail = rest.partition(_FRAMES_END)
        if not end:
            return None
        try:
            if stack not in stacks:
                stacks[stack] = _frames(json.loads(b"[%b]" % stack))
            threads.append(_thread(json.loads(b"{%b%b}" % (head, tail)), stacks[stack]))
        except (KeyError, ValueError, RecursionError):
            return None  # what is wrong with it is told by the decoder of the whole
    return tuple(threads)


def threads_of(document: Any) -> tuple[DumpedThread, ...]:
    """The threads of a dump that was decoded already. Raises BadDump."""
    if not isinstance(document, list):
        raise BadDump("not a list of threads")
    return tuple([_thread(item) for item in document])


def _thread(item: Any, frames: Frames | None = None) -> DumpedThread:
    try:
        said = fields(item)
        name, os_thread_id = said["thread_name"], said["os_thread_id"]
        return DumpedThread(
            count(said["thread_id"]),
            None if os_thread_id is None else count(os_thread_id),
            None if name is None else text(name),
            flag(said["active"]),
            flag(said["owns_gil"]),
            _frames(said["frames"]) if frames is None else frames,
        )
    except (KeyError, BadValue) as error:
        raise BadDump(f"a thread is not as py-spy gives it: {wrong(error)}") from None


def _frames(value: Any) -> Frames:
    return tuple(
        [
            _frame(frame["name"], frame["filename"], frame["line"])
            for frame in map(fields, items(value))
        ]
    )


# A thousand threads stand at a few hundred places: each is made once, and kept once.
@lru_cache(maxsize=65536)
def _known_frame(function: str, filename: str, line: int) -> Frame:
    return Frame(function, filename, line)


def _frame(function: Any, filename: Any, line: Any) -> Frame:
    return _known_frame(text(function), text(filename), whole(line))
