"""What leakscope knows to be there and could not look at. Grows by rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from leakscope.history import Track
from leakscope.stacks import portable_path

# (file below lib/pythonX.Y or site-packages, what it means when a stack runs through that file)
_HIDDEN_WORK = (
    (
        "asyncio/base_events.py",
        "asyncio tasks: an event loop runs in {n} thread{s}, its tasks are not looked at",
    ),
    (
        "gevent/hub.py",
        "greenlets: a gevent hub runs in {n} thread{s}, its greenlets are not looked at",
    ),
    (
        "eventlet/hubs/hub.py",
        "greenlets: an eventlet hub runs in {n} thread{s}, its greenlets are not looked at",
    ),
    ("trio/_core/_run.py", "trio tasks: trio runs in {n} thread{s}, its tasks are not looked at"),
)

# A native pool (OpenBLAS, gRPC, a codec) starts a few threads when it is first used. More than a
# machine commonly has cores is more than such a pool.
NATIVE_GROWTH = 16


_NATIVE = (
    "native threads: {n} besides Python's{grown}; what they do is not looked at (threads of a "
    "sub-interpreter would be among them: py-spy shows one interpreter)"
)
# Of several interpreters in one process py-spy shows the newest only, and the main thread belongs
# to the oldest. Where C code started Python in a thread of its own, it is missing too.
_OTHER_INTERPRETER = (
    "another interpreter's threads: the main thread and {n} in all are not among those that py-spy "
    "shows{grown}: it shows one interpreter, and sub-interpreters hide the main one"
)


def _lacks_main_thread(tracks: Iterable[Track]) -> bool:
    """Whether the kernel's ids are known, and that of the main thread is not among them."""
    keys = [track.sample.key for track in tracks]
    known = [key for key in keys if key.tid is not None]
    return len(known) == len(keys) > 0 and all(key.tid != key.pid for key in known)


def unseen(tracks: Iterable[Track], native: int | None, native_grown: int = 0) -> tuple[str, ...]:
    """One line for each kind of thing that is there and cannot be seen.

    `native` OS threads are not Python's now, `native_grown` more than at the first look.
    """
    tracks = list(tracks)
    said: list[str] = []
    stacks = Counter(track.sample.frames for track in tracks)  # of most there are many
    for path, sentence in _HIDDEN_WORK:
        n = sum(
            count
            for frames, count in stacks.items()
            if any(portable_path(frame.filename) == path for frame in frames)
        )
        if n:
            said.append(sentence.format(n=n, s="" if n == 1 else "s"))
    if native:
        grows = native_grown >= NATIVE_GROWTH
        grown = f", {native_grown} more than at first: they grow" if grows else ""
        said.append(
            _OTHER_INTERPRETER.format(n=native, grown=grown)
            if _lacks_main_thread(tracks)
            else _NATIVE.format(n=native, grown=grown)
        )
    if len(tracks) > 1 and all(track.sample.name is None for track in tracks):
        said.append("thread names: py-spy could read none (one that it cannot read hides them all)")
    nameless = sum(track.sample.key.tid is None for track in tracks)
    if nameless:
        said.append(f"thread ids: of {nameless} threads the kernel's id could not be learnt")
    if tracks and any(track.sample.runs is None for track in tracks):
        said.append("scheduling counters: whether a thread ran between samples is not known")
    return tuple(said)
