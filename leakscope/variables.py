"""Local variables of dumped threads, read from `py-spy dump --json --locals`. Pure.

They are never read unless someone asks for them: they can hold secrets.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from leakscope.checked import BadValue, fields, flag, items, text, wrong
from leakscope.dumps import BadDump, document_of, threads_of
from leakscope.model import Frame
from leakscope.stacks import Level, group_id


class Variable(NamedTuple):
    """A local variable, with the short text that py-spy makes of its value."""

    name: str
    value: str
    is_argument: bool


class FrameVariables(NamedTuple):
    """A frame and its local variables."""

    frame: Frame
    variables: tuple[Variable, ...]


class ThreadVariables(NamedTuple):
    """A thread and the variables of its frames, innermost first."""

    tid: int | None
    name: str | None
    frames: tuple[FrameVariables, ...]


def variables_of_group(answer: str | bytes, id_: str) -> tuple[ThreadVariables, ...]:
    """The threads of one function-level group in a dump that was made with --locals.

    Raises BadDump.
    """
    document = document_of(answer, most=None)
    found = []
    for thread, item in zip(threads_of(document), document, strict=True):
        if group_id(thread.frames, Level.FUNCTION) == id_:
            frames = zip(thread.frames, item["frames"], strict=True)
            found.append(
                ThreadVariables(
                    thread.os_thread_id,
                    thread.name,
                    tuple(FrameVariables(frame, _variables(said)) for frame, said in frames),
                )
            )
    return tuple(found)


def _variables(frame: dict[str, Any]) -> tuple[Variable, ...]:
    try:
        return tuple(
            Variable(text(local["name"]), text(local["repr"]), flag(local["arg"]))
            for local in map(fields, items(frame.get("locals") or []))
        )
    except (KeyError, BadValue) as error:
        raise BadDump(f"a frame's variables cannot be read: {wrong(error)}") from None
