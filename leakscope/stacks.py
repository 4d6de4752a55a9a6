"""What a stack says, wherever it was read: portable names, own code, entry, group ids."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache

from leakscope.levels import Level as Level
from leakscope.model import Frame, Frames

# Where installed code lives: below site-packages (pip, venv) or dist-packages (Debian).
_SITE_PACKAGES = re.compile(r".*[/\\](?:site|dist)-packages[/\\]")
# The standard library: lib/python3.11/, lib64/python3.11/, lib/python311.zip/.
_STDLIB = re.compile(r".*[/\\]lib(?:64)?[/\\]python\d[\d.]*t?(?:\.zip)?[/\\]")
# A console script such as /srv/venv/bin/gunicorn only starts what someone else wrote.
_LAUNCHER = re.compile(r".*[/\\]bin[/\\][^/\\.]+$")
# Frames that every thread has below the function that it was started in.
_BOOTSTRAP_FILE = "threading.py"
_BOOTSTRAP = ("_bootstrap", "_bootstrap_inner")


def last_part(function: str) -> str:
    """`Condition.wait` is `wait`: qualified names came with 3.11 and must not matter."""
    tail = function.rpartition(".")[2]
    return tail or function


@lru_cache(maxsize=8192)
def portable_path(filename: str) -> str:
    """A path as it is on any host: below site-packages or lib/pythonX.Y, else the base name."""
    for prefix in (_SITE_PACKAGES, _STDLIB):
        match = prefix.match(filename)
        if match:
            return filename[match.end() :].replace("\\", "/")
    return re.split(r"[/\\]", filename)[-1]


@lru_cache(maxsize=8192)
def is_own_code(filename: str) -> bool:
    """Whether a file is the user's own: neither of the standard library nor installed."""
    return bool(filename) and not (
        _SITE_PACKAGES.match(filename)
        or _STDLIB.match(filename)
        or _LAUNCHER.match(filename)
        or filename.startswith(("<frozen ", "<shim"))
    )


def is_stdlib(filename: str) -> bool:
    """Whether a file is part of Python itself."""
    return filename.startswith("<frozen ") or (
        not _SITE_PACKAGES.match(filename) and bool(_STDLIB.match(filename))
    )


def is_phantom(frame: Frame) -> bool:
    """A frame that no one wrote: py-spy's shims, and what it reads from a thread that is ending.

    Those have no line, and the function's name where the file's should be (facts seen on 3.13), or
    a name in angle brackets such as `<shim>`.
    """
    return frame.line <= 0 and (
        frame.filename in ("", frame.function, "__init__") or frame.filename.startswith("<shim")
    )


def real_frames(frames: Frames) -> Frames:
    """The frames without the phantoms."""
    if any(frame.line <= 0 for frame in frames):
        return tuple(frame for frame in frames if not is_phantom(frame))
    return frames


def is_bootstrap(frame: Frame) -> bool:
    """One of the frames of threading.py that are the outer end of every thread of Python's."""
    return last_part(frame.function) in _BOOTSTRAP and portable_path(frame.filename) == (
        _BOOTSTRAP_FILE
    )


def is_thread_run(frame: Frame) -> bool:
    """`threading.Thread.run`, which only calls the function that the thread was given."""
    return (
        portable_path(frame.filename) == _BOOTSTRAP_FILE
        and last_part(frame.function) == "run"
        # 3.11 and newer say whose `run` it is; before that only Timer.run shares the file, and it
        # never is the outermost frame with another one inside that is not of threading.py.
        and frame.function in ("run", "Thread.run")
    )


def entry(frames: Frames) -> Frame | None:
    """The function that the thread was started in; None for an empty stack.

    For `Thread(target=f)` that is `f`, for a subclass of Thread its `run`, for the main thread the
    outermost frame.
    """
    own = [frame for frame in real_frames(frames) if not is_bootstrap(frame)]
    if not own:
        return frames[-1] if frames else None
    if len(own) > 1 and is_thread_run(own[-1]) and not _runs_a_timer(own):
        return own[-2]
    return own[-1]


def _runs_a_timer(own: list[Frame]) -> bool:
    """Before 3.11 `Timer.run` is called `run` as well: it waits for an Event right inside."""
    return own[-1].function == "run" and portable_path(own[-2].filename) == _BOOTSTRAP_FILE


def own_part(frames: Frames) -> Frames:
    """The frames inside the entry and the entry itself: the stack without what every thread has."""
    outermost = entry(frames)
    if outermost is None:
        return ()
    kept = real_frames(frames)
    return kept[: kept.index(outermost) + 1] if outermost in kept else kept


def site(frames: Frames) -> Frame | None:
    """Where to look first: the innermost frame of the user's own code, else of a library.

    Where there is only the standard library (a leaked executor's worker), its innermost frame.
    """
    candidates = own_part(frames)
    for wanted in (is_own_code, lambda filename: not is_stdlib(filename)):
        for frame in candidates:
            if wanted(frame.filename):
                return frame
    return candidates[0] if candidates else None


@lru_cache(maxsize=65536)
def group_key(frames: Frames, level: Level) -> tuple[str | int, ...]:
    """What two stacks must share to be in one group at this level; flat, for a fast hash."""
    if level is Level.ENTRY:
        outermost = entry(frames)
        chosen: Iterable[Frame] = (outermost,) if outermost else ()
    else:
        chosen = real_frames(frames)
    parts: list[str | int] = []
    for frame in chosen:
        parts += (last_part(frame.function), portable_path(frame.filename))
        if level is Level.LINE:
            parts.append(frame.line)
    return tuple(parts)


@lru_cache(maxsize=65536)
def group_id(frames: Frames, level: Level) -> str:
    """12 hex digits that name a group: the same on every host, after a restart, in any folder.

    They hold neither thread names nor, at the function level, line numbers. Ids of the other levels
    carry the level as a prefix: `entry-3f9c1a2b77e0`.
    """
    text = "\0".join(map(str, group_key(frames, level)))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return digest if level is Level.FUNCTION else f"{level.value}-{digest}"
