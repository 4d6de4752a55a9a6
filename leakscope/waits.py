"""What a blocked thread waits for, as far as its frames and the kernel tell. Grows by rows.

Frames are matched by file and function, never by line: lines differ between versions of Python. The
kernel is asked second, because its answer is coarser (a futex is a Lock, an RLock or a
SimpleQueue).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from leakscope.model import Frame, Frames, Parking
from leakscope.stacks import is_stdlib, last_part, portable_path, real_frames


class Pattern(NamedTuple):
    """The innermost frames of a wait: (file below lib/pythonX.Y or site-packages, function)."""

    wait: str
    innermost: tuple[tuple[str, str], ...]


# The longest row that fits wins. A function `Class.name` also fits the bare `name`, which is all
# that Pythons before 3.11 give.
_ROWS = """
queue.get       threading:Condition.wait<queue:Queue.get
queue.put       threading:Condition.wait<queue:Queue.put
queue.join      threading:Condition.wait<queue:Queue.join
queue.get       queue:_PySimpleQueue.get
queue.get       multiprocessing/queues:Queue.get
queue.get       multiprocessing/queues:SimpleQueue.get
timer           threading:Condition.wait<threading:Event.wait<threading:Timer.run
event           threading:Condition.wait<threading:Event.wait
barrier         threading:Condition.wait<threading:Condition.wait_for<threading:Barrier._wait
condition       threading:Condition.wait<threading:Condition.wait_for
semaphore       threading:Condition.wait<threading:Semaphore.acquire
future          threading:Condition.wait<concurrent/futures/_base:Future.result
future          threading:Condition.wait<concurrent/futures/_base:Future.exception
future          threading:Condition.wait<threading:Event.wait<concurrent/futures/_base:wait
future          threading:Condition.wait<threading:Event.wait<concurrent/futures/_base:as_completed
future          threading:Condition.wait<threading:Event.wait<multiprocessing/pool:ApplyResult.wait
condition       threading:Condition.wait
join            threading:Thread._wait_for_tstate_lock
join            threading:Thread.join
join            threading:_shutdown
executor idle   concurrent/futures/thread:_worker
executor idle   multiprocessing/pool:worker
pool handler    multiprocessing/pool:Pool._handle_tasks
pool handler    multiprocessing/pool:Pool._handle_results
event loop      selectors:EpollSelector.select<asyncio/base_events:BaseEventLoop._run_once
event loop      selectors:KqueueSelector.select<asyncio/base_events:BaseEventLoop._run_once
event loop      selectors:SelectSelector.select<asyncio/base_events:BaseEventLoop._run_once
subprocess      selectors:_PollLikeSelector.select<subprocess:Popen._communicate
subprocess      subprocess:Popen._communicate
subprocess      subprocess:Popen._try_wait
subprocess      subprocess:Popen._wait
subprocess      multiprocessing/popen_fork:Popen.poll
pipe.recv       multiprocessing/connection:Connection._recv
pipe.send       multiprocessing/connection:Connection._send
select          selectors:EpollSelector.select
select          selectors:KqueueSelector.select
select          selectors:_PollLikeSelector.select
select          selectors:SelectSelector.select
select          selectors:SelectSelector._select
socket.accept   socket:socket.accept
socket.recv     socket:SocketIO.readinto
socket.connect  socket:create_connection
socket.resolve  socket:getaddrinfo
socket.connect  ssl:SSLSocket.do_handshake
socket.recv     ssl:SSLSocket.read
socket.recv     ssl:SSLSocket.recv
socket.recv     ssl:SSLSocket.recv_into
socket.send     ssl:SSLSocket.write
socket.send     ssl:SSLSocket.sendall
"""


def _parsed(rows: str) -> Iterator[Pattern]:
    for row in rows.strip().splitlines():
        wait, innermost = re.split(r"\s{2,}", row)
        path_and_function = (frame.partition(":") for frame in innermost.split("<"))
        yield Pattern(
            wait, tuple((f"{path}.py", function) for path, _, function in path_and_function)
        )


PATTERNS = tuple(_parsed(_ROWS))

# By the kernel function that the thread sleeps in (its name differs between kernels).
BY_WCHAN = {
    "hrtimer_nanosleep": "sleep",
    "do_nanosleep": "sleep",
    "futex_do_wait": "lock",
    "futex_wait_queue": "lock",
    "futex_wait_queue_me": "lock",
    "unix_stream_read_generic": "socket.recv",
    "unix_stream_data_wait": "socket.recv",
    "sk_wait_data": "socket.recv",
    "__skb_wait_for_more_packets": "socket.recv",
    "sk_stream_wait_memory": "socket.send",
    "inet_csk_accept": "socket.accept",
    "unix_accept": "socket.accept",
    "inet_wait_for_connect": "socket.connect",
    "poll_schedule_timeout": "select",
    "do_epoll_wait": "select",
    "ep_poll": "select",
    "do_wait": "subprocess",
    "anon_pipe_read": "pipe.read",
    "pipe_read": "pipe.read",
    "anon_pipe_write": "pipe.write",
    "pipe_write": "pipe.write",
    "wait_for_partner": "pipe.open",
    "locks_lock_inode_wait": "file lock",
    "do_sigtimedwait": "signal",
}

# By the system call, on x86-64, of what sleeps in wait_woken: sockets of TCP and terminals do,
# whether they read or write. A read is of a socket only where its other end is known.
BY_SYSCALL_WHEN_WOKEN = {
    0: "read",
    19: "read",
    42: "socket.connect",
    44: "socket.send",
    45: "socket.recv",
    46: "socket.send",
    47: "socket.recv",
    299: "socket.recv",
}

# By the system call, on x86-64, for kernels that hide wchan. 219 (restart_syscall), which a
# blocking dump leaves behind, says nothing and is not here.
BY_SYSCALL = {
    0: "pipe.read",
    7: "select",
    23: "select",
    35: "sleep",
    42: "socket.connect",
    43: "socket.accept",
    45: "socket.recv",
    47: "socket.recv",
    61: "subprocess",
    73: "file lock",
    128: "signal",
    202: "lock",
    230: "sleep",
    232: "select",
    247: "subprocess",
    270: "select",
    271: "select",
    281: "select",
    288: "socket.accept",
}


# A sleep that is made of a select stands in the kernel's function for select.
_SAYS_MORE_THAN_WCHAN = frozenset({35, 230})


def _by_innermost(patterns: Iterable[Pattern]) -> dict[tuple[str, str], list[Pattern]]:
    table: dict[tuple[str, str], list[Pattern]] = {}
    for pattern in sorted(patterns, key=lambda p: -len(p.innermost)):
        path, function = pattern.innermost[0]
        table.setdefault((path, last_part(function)), []).append(pattern)
    return table


_TABLE = _by_innermost(PATTERNS)


def _fits(frame: Frame, wanted: tuple[str, str]) -> bool:
    path, function = wanted
    bare = "." not in frame.function
    # A file of the user's own may be called threading.py as well.
    return (
        frame.function == (last_part(function) if bare else function)
        and portable_path(frame.filename) == path
        and is_stdlib(frame.filename)
    )


@lru_cache(maxsize=65536)
def wait_by_frames(frames: Frames) -> str | None:
    """What the frames say that a thread waits for; None where they don't say."""
    kept = real_frames(frames)
    if not kept:
        return None
    for pattern in _TABLE.get((portable_path(kept[0].filename), last_part(kept[0].function)), ()):
        if len(kept) >= len(pattern.innermost) and all(map(_fits, kept, pattern.innermost)):
            return pattern.wait
    return None


def wait_by_kernel(parking: Parking) -> str | None:
    """What the kernel says that a sleeping thread waits for; None where it doesn't say."""
    if parking.syscall in _SAYS_MORE_THAN_WCHAN:
        return BY_SYSCALL[parking.syscall]
    syscall = -1 if parking.syscall is None else parking.syscall
    # Compilers add to a function's name: poll_schedule_timeout.constprop.0.
    wchan = (parking.wchan or "").partition(".")[0]
    if wchan == "wait_woken":
        return "socket.recv" if parking.peer else BY_SYSCALL_WHEN_WOKEN.get(syscall)
    return BY_WCHAN.get(wchan) or BY_SYSCALL.get(syscall)
