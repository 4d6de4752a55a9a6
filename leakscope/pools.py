"""Threads that something holds open on purpose: a pool its workers, a client its handler.

Their number follows load or configuration, so that growth alone proves nothing of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from leakscope.facts import Stay
from leakscope.model import Frame, Frames
from leakscope.stacks import entry, is_stdlib, last_part, own_part, portable_path

# The function that the workers of servers' own pools are started in: (file, function). Each such
# pool is bounded by a setting of its server, and there is one a server (anyio: one an event loop),
# so that it fills up but does not leak.
BOUNDED_POOLS = {
    ("anyio/_backends/_asyncio.py", "run"),  # WorkerThread.run: at most 40 by default
    ("waitress/task.py", "handler_thread"),
    ("cheroot/workers/threadpool.py", "run"),
    ("twisted/_threads/_threadworker.py", "work"),
}

# Where a server's thread waits for what its client sends next: (file, function) of the innermost
# frame below the socket. The client holds the thread open, by right.
CONNECTION_READERS = {
    ("http/server.py", "handle_one_request"),
    ("socketserver.py", "__init__"),
    ("werkzeug/serving.py", "handle_one_request"),
    ("wsgiref/simple_server.py", "handle"),
    ("websockets/sync/connection.py", "recv_events"),
    ("websockets/sync/connection.py", "recv"),
    ("websockets/sync/connection.py", "keepalive"),
    ("websockets/sync/messages.py", "get_next_frame"),
    ("websockets/sync/messages.py", "get"),
}

# Standard library files whose frames only carry a wait out; what called them says what it is for.
_CARRIERS = frozenset(
    ("threading.py", "queue.py", "socket.py", "ssl.py", "selectors.py", "_pyio.py")
)

_EXECUTOR_WORKER = ("concurrent/futures/thread.py", "_worker")
# `ThreadPoolExecutor-3_0`, a prefix of the user's own (`db_0`), asyncio's default (`asyncio_0`).
_EXECUTOR_NAME = re.compile(r"(?P<pool>.*?)_(?P<worker>\d+)$", re.DOTALL)
_NUMBERED = re.compile(r"-\d+$")


def _place(frame: Frame) -> tuple[str, str]:
    return portable_path(frame.filename), last_part(frame.function)


def waiting_place(frames: Frames) -> tuple[str, str] | None:
    """The innermost (file, function) that says what a wait is for, not how it is carried out."""
    for frame in own_part(frames):
        if portable_path(frame.filename) not in _CARRIERS or not is_stdlib(frame.filename):
            return _place(frame)
    return None


def is_bounded_pool(frames: Frames) -> bool:
    """Whether a thread is a worker of a server's own, bounded pool."""
    outermost = entry(frames)
    return outermost is not None and _place(outermost) in BOUNDED_POOLS


def is_connection_reader(frames: Frames) -> bool:
    """Whether a thread waits for what a client of this server sends next."""
    place = waiting_place(frames)
    if place in CONNECTION_READERS:
        return True
    # A handler of the user's own that reads its socket itself, called straight by socketserver.
    callers = own_part(frames)[1:2]
    return bool(callers) and _place(callers[0]) == ("socketserver.py", "__init__")


def is_held_by_clients(stays: Sequence[Stay]) -> bool:
    """Whether most of these threads wait for what a client of this process sends next."""
    accepted = [stay for stay in stays if stay.parking.accepted]
    return len(accepted) > len(stays) / 2


def is_held_open(frames: Frames, stays: Sequence[Stay]) -> bool:
    """Whether these threads of one stack wait for clients, by their frames or by their sockets."""
    return is_connection_reader(frames) or is_held_by_clients(stays)


def is_executor_worker(frames: Frames) -> bool:
    """Whether a thread is a worker of a `ThreadPoolExecutor`, idle or at work."""
    outermost = entry(frames)
    return outermost is not None and _place(outermost) == _EXECUTOR_WORKER


def is_idle_executor(frames: Frames) -> bool:
    """Whether a thread is an executor's worker with nothing to do."""
    return waiting_place(frames) == _EXECUTOR_WORKER


def pool_of(name: str | None) -> str | None:
    """The executor that a thread's name belongs to; None where the name doesn't say."""
    match = _EXECUTOR_NAME.match(name or "")
    return match["pool"] if match else None


def newcomers(stays: Iterable[Stay]) -> list[Stay]:
    """The first worker of each executor: the stays that each tell of one more executor.

    The threads of one executor are one thing; an executor that fills up starts no new thing. An
    executor with a prefix of the user's own has no number: there the same worker number twice is
    what tells two executors apart. Threads whose name says nothing each stand for themselves.
    """
    stays = list(stays)
    numbers = Counter(stay.name for stay in stays)
    seen: set[str] = set()
    first: list[Stay] = []
    for stay in stays:
        pool = pool_of(stay.name)
        if pool is None or (not _NUMBERED.search(pool) and numbers[stay.name] > 1):
            first.append(stay)
        elif pool not in seen:
            seen.add(pool)
            first.append(stay)
    return first
