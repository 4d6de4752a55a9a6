"""py-spy's JSON read into values. Pure: text in, values out."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

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


def parse_dump(text: str | bytes) -> tuple[DumpedThread, ...]:
    """The threads of one dump, in py-spy's order: the newest first. Raises BadDump."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadDump(f"not JSON: {error}") from None
    return threads_of(document)


def threads_of(document: Any) -> tuple[DumpedThread, ...]:
    """The threads of a dump that was decoded already. Raises BadDump."""
    if not isinstance(document, list):
        raise BadDump("not a list of threads")
    return tuple(_thread(item) for item in document)


def _thread(item: Any) -> DumpedThread:
    try:
        name = item["thread_name"]
        os_thread_id = item["os_thread_id"]
        return DumpedThread(
            int(item["thread_id"]),
            None if os_thread_id is None else int(os_thread_id),
            None if name is None else str(name),
            bool(item["active"]),
            bool(item["owns_gil"]),
            tuple(
                Frame(str(frame["name"]), str(frame["filename"]), int(frame["line"]))
                for frame in item["frames"]
            ),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadDump(f"a thread lacks or spoils {error}") from None
