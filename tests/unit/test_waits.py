"""What a blocked thread waits for, on stacks of real Pythons: 3.11, and 3.8's bare names."""

from __future__ import annotations

import pytest

from leakscope.history import wait_of
from leakscope.model import NOT_KNOWN, Frame, Parking, RunState
from leakscope.waits import (
    BY_SYSCALL,
    BY_WCHAN,
    PATTERNS,
    wait_by_frames,
    wait_by_kernel,
)
from tests.samples import LIB, as_read_on_38, lib, own, run_by, started, thread

WAIT = "threading.py:Condition.wait"
RUN_ONCE = "asyncio/base_events.py:BaseEventLoop._run_once"
SELECT = "selectors.py:EpollSelector.select"
POLL = "selectors.py:_PollLikeSelector.select"
FUTURES = "concurrent/futures/_base.py"

# The frames inside the one that called, innermost first, and what the thread waits for.
WAITS = [
    ("queue.get", f"{WAIT} < queue.py:Queue.get"),
    ("queue.get", f"{WAIT} < queue.py:Queue.get < logging/handlers.py:QueueListener.dequeue"),
    ("queue.get", "queue.py:_PySimpleQueue.get"),
    ("queue.get", "multiprocessing/queues.py:Queue.get"),
    ("queue.get", "multiprocessing/queues.py:SimpleQueue.get"),
    ("queue.put", f"{WAIT} < queue.py:Queue.put"),
    ("queue.join", f"{WAIT} < queue.py:Queue.join"),
    ("event", f"{WAIT} < threading.py:Event.wait"),
    ("condition", WAIT),
    ("condition", f"{WAIT} < threading.py:Condition.wait_for"),
    ("barrier", f"{WAIT} < threading.py:Condition.wait_for < threading.py:Barrier._wait"),
    ("semaphore", f"{WAIT} < threading.py:Semaphore.acquire"),
    ("future", f"{WAIT} < {FUTURES}:Future.result"),
    ("future", f"{WAIT} < {FUTURES}:Future.exception"),
    ("future", f"{WAIT} < threading.py:Event.wait < {FUTURES}:wait"),
    ("future", f"{WAIT} < threading.py:Event.wait < {FUTURES}:as_completed"),
    ("future", f"{WAIT} < threading.py:Event.wait < multiprocessing/pool.py:ApplyResult.wait"),
    ("join", "threading.py:Thread._wait_for_tstate_lock < threading.py:Thread.join"),
    ("join", "threading.py:Thread.join"),  # 3.13 and newer
    ("join", "threading.py:_shutdown"),
    ("executor idle", "concurrent/futures/thread.py:_worker"),
    ("executor idle", "multiprocessing/pool.py:worker"),
    ("pool handler", "multiprocessing/pool.py:Pool._handle_tasks"),
    ("pool handler", "multiprocessing/pool.py:Pool._handle_results"),
    ("event loop", f"{SELECT} < {RUN_ONCE}"),
    ("event loop", f"selectors.py:KqueueSelector.select < {RUN_ONCE}"),
    ("event loop", f"selectors.py:SelectSelector.select < {RUN_ONCE}"),
    ("select", SELECT),
    ("select", "selectors.py:KqueueSelector.select"),
    ("select", "selectors.py:SelectSelector.select"),
    ("select", f"{POLL} < multiprocessing/connection.py:wait"),
    ("subprocess", "subprocess.py:Popen._try_wait < subprocess.py:Popen._wait"),
    ("subprocess", "subprocess.py:Popen._wait < subprocess.py:Popen.wait"),
    ("subprocess", f"{POLL} < subprocess.py:Popen._communicate"),
    ("subprocess", "subprocess.py:Popen._communicate"),
    ("subprocess", "multiprocessing/popen_fork.py:Popen.poll"),
    ("pipe.recv", "multiprocessing/connection.py:Connection._recv"),
    ("pipe.send", "multiprocessing/connection.py:Connection._send"),
    ("socket.accept", "socket.py:socket.accept"),
    ("socket.recv", "socket.py:SocketIO.readinto"),
    ("socket.connect", "socket.py:create_connection"),
    ("socket.resolve", "socket.py:getaddrinfo"),
    ("socket.connect", "ssl.py:SSLSocket.do_handshake"),
    ("socket.recv", "ssl.py:SSLSocket.recv"),
    ("socket.recv", "ssl.py:SSLSocket.recv_into"),
    ("socket.recv", "ssl.py:SSLSocket.read"),
    ("socket.send", "ssl.py:SSLSocket.write"),
    ("socket.send", "ssl.py:SSLSocket.sendall"),
]  # fmt: skip


def frames_of(row: str) -> tuple[Frame, ...]:
    """The frames that a row of the table stands for."""
    places = (frame.partition(":") for frame in row.split(" < "))
    return tuple(lib(path, function) for path, _, function in places)


@pytest.mark.parametrize(("wait", "row"), WAITS)
def test_wait_is_told_by_the_innermost_frames(wait, row):
    frames = started(*frames_of(row), own())
    assert wait_by_frames(frames) == wait
    assert wait_by_frames(as_read_on_38(frames)) == wait


def test_every_kind_of_wait_is_tested():
    assert {pattern.wait for pattern in PATTERNS} == {wait for wait, _ in WAITS} | {"timer"}


def test_timer():
    frames = run_by(*frames_of(f"{WAIT} < threading.py:Event.wait < threading.py:Timer.run"))
    assert wait_by_frames(frames) == "timer"
    assert wait_by_frames(as_read_on_38(frames)) == "timer"


def test_a_flusher_that_waits_for_an_event_is_no_timer():
    frames = run_by(*frames_of(f"{WAIT} < threading.py:Event.wait"), own("Flusher.run"))
    assert wait_by_frames(frames) == "event"
    assert wait_by_frames(as_read_on_38(frames)) == "event"


def test_longest_row_wins_in_whatever_order_the_rows_stand():
    lengths = {pattern.innermost: pattern.wait for pattern in PATTERNS}
    for innermost, wait in lengths.items():
        frames = tuple(lib(path, function) for path, function in innermost)
        assert wait_by_frames(frames) == wait


def test_phantom_frames_do_not_hide_a_wait():
    torn = Frame("get", "get", 0)
    assert wait_by_frames((torn, *started(*frames_of(f"{WAIT} < queue.py:Queue.get")))) == (
        "queue.get"
    )


@pytest.mark.parametrize(
    "frames",
    [
        (),
        started(own()),  # Lock, RLock, SimpleQueue, sleep, recv: the call in C has no frame
        started(own("Queue.get", filename="/srv/app/queue.py")),
        pytest.param(
            started(own("wait", filename="/srv/app/threading.py")),
        ),
        started(Frame("Condition.wait", "/venv/lib/python3.11/site-packages/x/threading.py", 1)),
        started(lib("threading.py", "Barrier.wait")),
        started(lib("queue.py", "Queue.get")),
    ],
)
def test_frames_that_tell_of_no_wait(frames):
    assert wait_by_frames(frames) is None


def test_another_class_with_a_method_of_that_name_is_not_taken_for_it():
    """From 3.11 on names say whose method it is."""
    assert wait_by_frames(started(lib("threading.py", "Other.wait"))) is None


# As measured: system call, kernel function.
PARKED = [
    ("lock", 202, "futex_do_wait"),
    ("lock", 219, "futex_do_wait"),  # a timed wait, after a blocking dump
    ("lock", 202, "futex_wait_queue_me"),
    ("sleep", 230, "hrtimer_nanosleep"),
    ("socket.recv", 45, "unix_stream_read_generic"),
    ("socket.recv", 45, "sk_wait_data"),
    ("socket.recv", 45, "wait_woken"),
    ("read", 0, "wait_woken"),  # of a terminal
    ("socket.send", 44, "wait_woken"),
    ("socket.connect", 42, "wait_woken"),
    ("select", 45, "poll_schedule_timeout"),  # recv with a timeout polls first
    ("socket.accept", 288, "inet_csk_accept"),
    ("select", 219, "poll_schedule_timeout"),
    ("select", 270, "poll_schedule_timeout"),
    ("select", 232, "do_epoll_wait"),
    ("subprocess", 61, "do_wait"),
    ("pipe.open", 257, "wait_for_partner"),
    ("pipe.read", 0, "anon_pipe_read"),
    ("file lock", 73, "locks_lock_inode_wait"),
    ("signal", 128, "do_sigtimedwait"),
]


@pytest.mark.parametrize(("wait", "syscall", "wchan"), PARKED)
def test_wait_is_told_by_the_kernel(wait, syscall, wchan):
    assert wait_by_kernel(Parking(syscall, wchan)) == wait


@pytest.mark.parametrize(
    ("wait", "syscall"),
    [("pipe.read", 0), ("lock", 202), ("select", 7), ("subprocess", 61), ("sleep", 230)],
)
def test_the_system_call_tells_where_the_kernel_function_is_hidden(wait, syscall):
    assert wait_by_kernel(Parking(syscall, None)) == wait


@pytest.mark.parametrize(
    "parking",
    [
        NOT_KNOWN,
        Parking(219, None),  # restart_syscall: which one is not said
        Parking(-1, None),
        Parking(9999, "some_new_function"),
        Parking(None, "wait_woken"),  # a terminal or a socket, to read or to write
        Parking(1, "wait_woken"),
    ],
)
def test_what_the_kernel_does_not_tell(parking):
    assert wait_by_kernel(parking) is None


def test_a_read_of_a_socket_is_told_by_its_other_end():
    assert wait_by_kernel(Parking(0, "wait_woken", peer="192.0.2.1:5432")) == "socket.recv"


def test_kernel_and_frames_speak_the_same_words():
    """`select` by frames and `select` by the kernel are one wait in a group."""
    by_kernel = {*BY_WCHAN.values(), *BY_SYSCALL.values()}
    assert {"select", "subprocess", "socket.accept", "socket.recv"} <= by_kernel
    assert {"select", "subprocess", "socket.accept", "socket.recv"} <= {
        pattern.wait for pattern in PATTERNS
    }


FUTEX = Parking(202, "futex_do_wait")


def test_frames_are_asked_before_the_kernel():
    assert wait_of(thread(parking=FUTEX)) == "queue.get"


def test_the_kernel_is_asked_where_frames_say_nothing():
    assert wait_of(thread(frames=started(own()), parking=FUTEX)) == "lock"


def test_a_running_thread_waits_for_nothing():
    assert wait_of(thread(state=RunState.RUNNING, parking=FUTEX)) is None


def test_a_futex_of_a_thread_that_ran_is_not_taken_for_a_lock():
    """A thread at work is in futexes all the time: it waits for the interpreter's own lock."""
    assert wait_of(thread(frames=started(own()), parking=FUTEX), ran_now=True) is None
    sleeping = Parking(230, "hrtimer_nanosleep")
    assert wait_of(thread(frames=started(own()), parking=sleeping), ran_now=True) == "sleep"


def test_the_table_names_no_folder_of_an_installation():
    assert not any(LIB in path for pattern in PATTERNS for path, _ in pattern.innermost)
