"""Places in the code of Python or of a package, as the tables of causes and culprits name them."""

from __future__ import annotations

from typing import NamedTuple

from leakscope.model import Frame, Frames
from leakscope.stacks import is_own_code, last_part, own_part, portable_path


class Place(NamedTuple):
    """A function of a file below lib/pythonX.Y or site-packages, or anything below a folder."""

    path: str  # a folder ends with a slash
    function: str | None


def place(text: str) -> Place:
    """`queue:Queue.get` is a function, `requests/` a folder."""
    path, _, function = text.partition(":")
    return Place(f"{path}.py", function) if function else Place(path, None)


def is_at(frame: Frame, where: Place) -> bool:
    """Whether a frame is there; never true of the user's own code, whatever its files are called.

    `Class.name` also fits the bare `name`, which is all that Pythons before 3.11 give; a bare name
    fits at any depth, as in `outer.<locals>.name`.
    """
    if is_own_code(frame.filename):
        return False
    path = portable_path(frame.filename)
    if where.function is None:
        return path.startswith(where.path)
    bare = "." not in frame.function or "." not in where.function
    return path == where.path and (
        last_part(frame.function) == last_part(where.function)
        if bare
        else frame.function == where.function
    )


def passes(frames: Frames, where: Place) -> bool:
    """Whether a stack goes through this place."""
    return any(is_at(frame, where) for frame in own_part(frames))


def rests_in(frames: Frames, where: Place) -> bool:
    """Whether a stack goes through this place and from there into no code of the user's own.

    A callback of the user's that hangs inside a library's thread is not the library's fault.
    """
    for frame in own_part(frames):
        if is_own_code(frame.filename):
            return False
        if is_at(frame, where):
            return True
    return False
