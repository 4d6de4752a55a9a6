"""py-spy's JSON read into values. Pure: text in, values out."""

from __future__ import annotations

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
    return threads_of(document_of(answer, most=None))


def document_of(answer: str | bytes, most: int | None = MAX_VALUES) -> Any:
    """The JSON of one dump; `most` is how many values may be in it. Raises BadDump."""
    try:
        return decoded(answer, most)
    except BadValue as error:
        raise BadDump(str(error)) from None


def threads_of(document: Any) -> tuple[DumpedThread, ...]:
    """The threads of a dump that was decoded already. Raises BadDump."""
    if not isinstance(document, list):
        raise BadDump("not a list of threads")
    return tuple(_thread(item) for item in document)


def _thread(item: Any) -> DumpedThread:
    try:
        said = fields(item)
        name, os_thread_id = said["thread_name"], said["os_thread_id"]
        return DumpedThread(
            count(said["thread_id"]),
            None if os_thread_id is None else count(os_thread_id),
            None if name is None else text(name),
            flag(said["active"]),
            flag(said["owns_gil"]),
            tuple(
                Frame(text(frame["name"]), text(frame["filename"]), whole(frame["line"]))
                for frame in map(fields, items(said["frames"]))
            ),
        )
    except (KeyError, BadValue) as error:
        raise BadDump(f"a thread is not as py-spy gives it: {wrong(error)}") from None
