"""Each cause is told from the stacks that show it, and from no others."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from leakscope.cases import executors
from leakscope.causes import ROWS, cause_of
from leakscope.leaks import Cause
from leakscope.model import Frame, Frames
from leakscope.policy import Trend
from leakscope.waits import BY_SYSCALL, BY_WCHAN, PATTERNS, wait_by_frames
from tests.builders import LIB, frame, getting, group, leak, started

SITE = f"{LIB}/site-packages"
WAIT = Frame("Condition.wait", f"{LIB}/threading.py", 327)
EVENT = Frame("Event.wait", f"{LIB}/threading.py", 629)
SELECT = Frame("_PollLikeSelector.select", f"{LIB}/selectors.py", 415)
EPOLL = Frame("EpollSelector.select", f"{LIB}/selectors.py", 468)
ONCE = Frame("BaseEventLoop._run_once", f"{LIB}/asyncio/base_events.py", 1898)
FOREVER = Frame("BaseEventLoop.run_forever", f"{LIB}/asyncio/base_events.py", 607)
COMPLETE = Frame("BaseEventLoop.run_until_complete", f"{LIB}/asyncio/base_events.py", 640)
JOIN = Frame("Thread.join", f"{LIB}/threading.py", 1112)
OWN = frame()


def lib(file: str, function: str) -> Frame:
    return Frame(function, f"{LIB}/{file}", 7)


def package(file: str, function: str) -> Frame:
    return Frame(function, f"{SITE}/{file}", 7)


def found(
    frames: Frames,
    wait: str | None = None,
    names: Sequence[str | None] = (),
    trend: Trend = Trend.LEAKING,
) -> Cause | None:
    """The cause of a leak of threads with this stack, which wait for what their frames say."""
    wait = wait_by_frames(frames) or wait
    return cause_of(leak(group(frames=frames), wait=wait, trend=trend), names)


IDLE = started(lib("concurrent/futures/thread.py", "_worker"))
READINTO = lib("socket.py", "SocketIO.readinto")
MANY = ["ThreadPoolExecutor-1_0", "ThreadPoolExecutor-2_0", "ThreadPoolExecutor-7_0"]

# id: a stack (and wait, names) that fits, and one that nearly does.
Given = tuple[Frames, str | None, Sequence[str | None]]


def given(*inner: Frame, wait: str | None = None, names: Sequence[str | None] = ()) -> Given:
    return started(*inner), wait, names


def queue_get(function: str, file: str = "/srv/app/jobs.py") -> Given:
    return getting(Frame(function, file, 3)), None, ()


CASES: dict[str, tuple[Given, Given]] = {
    "event-loop-executor": (
        (IDLE, None, ["asyncio_0", "asyncio_0", "asyncio_1"]),
        (IDLE, None, ["asyncio_0", "asyncio_1", "asyncio_2"]),  # one loop, whose pool fills up
    ),
    "executor-per-call": (
        (IDLE, None, MANY),
        (IDLE, None, ["ThreadPoolExecutor-1_0", "ThreadPoolExecutor-1_1"]),
    ),
    "executor-kept": (
        (IDLE, None, [None, None]),
        given(OWN, lib("concurrent/futures/thread.py", "_worker"), wait="sleep"),
    ),
    "process-pool-per-call": (
        given(
            SELECT,
            lib("multiprocessing/connection.py", "wait"),
            lib("concurrent/futures/process.py", "_ExecutorManagerThread.run"),
        ),
        given(
            SELECT,
            lib("multiprocessing/connection.py", "wait"),
            frame("_ExecutorManagerThread.run", "/srv/app/process.py"),
        ),
    ),
    "thread-pool-per-call": (
        given(lib("multiprocessing/pool.py", "worker")),
        given(OWN, lib("multiprocessing/pool.py", "worker"), wait="sleep"),  # at work
    ),
    "process-queue-never-closed": (
        given(WAIT, lib("multiprocessing/queues.py", "Queue._feed")),
        given(lib("multiprocessing/queues.py", "Queue.get"), OWN),
    ),
    "log-listener-never-stopped": (
        given(
            WAIT,
            lib("queue.py", "Queue.get"),
            lib("logging/handlers.py", "QueueListener.dequeue"),
            lib("logging/handlers.py", "QueueListener._monitor"),
        ),
        queue_get("QueueListener._monitor", "/srv/app/handlers.py"),
    ),
    "timer-rearmed": (
        (started(WAIT, EVENT, lib("threading.py", "Timer.run")), None, ()),
        given(WAIT, EVENT, OWN),
    ),
    "executor-waits-for-hung-task": (
        given(
            JOIN,
            lib("concurrent/futures/thread.py", "ThreadPoolExecutor.shutdown"),
            lib("concurrent/futures/_base.py", "Executor.__exit__"),
            OWN,
        ),
        given(JOIN, frame("ThreadPoolExecutor.shutdown"), OWN),
    ),
    "join-never-returns": (given(JOIN, OWN), given(frame("Thread.join"), OWN)),
    "coroutine-never-ends": (
        given(EPOLL, ONCE, FOREVER, COMPLETE, OWN),
        given(EPOLL, ONCE, FOREVER),
    ),
    "event-loop-never-stopped": (given(EPOLL, ONCE, FOREVER, OWN), given(EPOLL, OWN)),
    "handler-waits-for-client": (
        given(
            frame("handle"),
            lib("socketserver.py", "BaseRequestHandler.__init__"),
            wait="socket.recv",
        ),
        given(
            frame("query"),
            frame("handle"),
            lib("socketserver.py", "BaseRequestHandler.__init__"),
            wait="socket.recv",
        ),
    ),
    "request-without-timeout": (
        given(READINTO, package("requests/sessions.py", "Session.send"), OWN),
        given(READINTO, package("requests_cache/session.py", "Session.send"), OWN),
    ),
    "urlopen-without-timeout": (
        given(READINTO, lib("urllib/request.py", "urlopen"), OWN),
        given(READINTO, lib("urllib/request.py", "unquote"), OWN),
    ),
    "client-never-closed": (
        given(WAIT, package("somesdk/worker.py", "Worker.run")),
        given(WAIT, package("somesdk/worker.py", "Worker.run"), OWN),
    ),
    "process-without-timeout": (
        given(lib("subprocess.py", "Popen._try_wait"), OWN),
        given(frame("Popen._try_wait"), OWN),
    ),
    "pipe-without-timeout": (
        given(lib("multiprocessing/connection.py", "Connection._recv"), OWN),
        given(lib("multiprocessing/connection.py", "Connection._send"), OWN),
    ),
    "recv-without-timeout": (given(OWN, wait="socket.recv"), given(OWN, wait="socket.send")),
    "connect-without-timeout": (
        given(lib("socket.py", "create_connection"), OWN),
        given(lib("socket.py", "socket.accept"), OWN),
    ),
    "send-without-timeout": (
        given(lib("ssl.py", "SSLSocket.sendall"), OWN),
        given(lib("ssl.py", "SSLSocket.recv"), OWN),
    ),
    "listener-never-closed": (
        given(lib("socket.py", "socket.accept"), OWN),
        given(READINTO, OWN),
    ),
    "future-never-done": (
        given(WAIT, lib("concurrent/futures/_base.py", "Future.result"), OWN),
        given(WAIT, frame("Future.result"), OWN),
    ),
    "queue-full": (given(WAIT, lib("queue.py", "Queue.put"), OWN), queue_get("consume")),
    "producer-gone": (
        queue_get("consume"),
        given(WAIT, lib("queue.py", "Queue.join"), OWN),
    ),
    "queue-never-done": (given(WAIT, lib("queue.py", "Queue.join"), OWN), queue_get("consume")),
    "no-stop-event": (given(WAIT, EVENT, OWN), given(WAIT, OWN)),
    "no-notify": (given(WAIT, OWN), given(WAIT, EVENT, OWN)),
    "semaphore-never-released": (
        given(WAIT, lib("threading.py", "Semaphore.acquire"), OWN),
        given(WAIT, frame("Semaphore.acquire"), OWN),
    ),
    "barrier-incomplete": (
        given(
            WAIT,
            lib("threading.py", "Condition.wait_for"),
            lib("threading.py", "Barrier._wait"),
            OWN,
        ),
        given(WAIT, lib("threading.py", "Condition.wait_for"), OWN),
    ),
    "lock-never-released": (given(OWN, wait="lock"), given(OWN)),
    "file-lock-never-released": (given(OWN, wait="file lock"), given(OWN, wait="lock")),
    "poll-without-stop": (given(OWN, wait="sleep"), given(OWN, wait="signal")),
    "select-without-stop": (given(SELECT, OWN), given(frame("select"), OWN)),
}


@pytest.mark.parametrize("id_", CASES)
def test_a_stack_that_fits(id_):
    cause = found(*CASES[id_][0])

    assert cause is not None
    assert cause.id == id_


@pytest.mark.parametrize("id_", CASES)
def test_a_stack_that_nearly_fits(id_):
    cause = found(*CASES[id_][1])

    assert cause is None or cause.id != id_


def test_a_runaway_is_one_whatever_its_stack():
    runaway = found(started(OWN), trend=Trend.RUNAWAY)

    assert runaway is not None
    assert runaway.id == "runaway-loop"
    assert found(started(OWN)) is None


def test_every_row_is_exercised_and_has_an_id_of_its_own():
    ids = [row.id for row in ROWS]

    assert len(set(ids)) == len(ids)
    assert set(ids) == {*CASES, "runaway-loop"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_how_rows_are_worded(row):
    assert row.why.endswith(".")
    assert row.cure.endswith(".")
    assert "`" in row.cure or "timeout" in row.cure
    assert ("looks like" in row.why) is not row.certain


def test_every_wait_of_a_row_exists():
    known = {pattern.wait for pattern in PATTERNS} | {*BY_WCHAN.values(), *BY_SYSCALL.values()}
    wanted = {wait for row in ROWS for wait in getattr(row.fits, "waits", ())}

    assert wanted <= known


@pytest.mark.parametrize(
    ("handler", "inner"),
    [
        ("Pool._handle_workers", [SELECT]),
        ("Pool._handle_tasks", []),
        ("Pool._handle_results", []),
    ],
)
def test_every_helper_of_a_pool_tells_it(handler, inner):
    cause = found(started(*inner, lib("multiprocessing/pool.py", handler)))

    assert cause is not None
    assert cause.id == "thread-pool-per-call"


def test_the_library_is_named():
    cause = found(started(WAIT, package("somesdk/worker.py", "Worker.run")))

    assert cause is not None
    assert "somesdk" in cause.why


def test_stacks_of_python_before_3_11_have_bare_names():
    frames = started(
        Frame("select", f"{LIB}/selectors.py", 1),
        Frame("_run_once", f"{LIB}/asyncio/base_events.py", 1),
        Frame("run_forever", f"{LIB}/asyncio/base_events.py", 1),
    )
    cause = found(frames, wait="event loop")

    assert cause is not None
    assert cause.id == "event-loop-never-stopped"


@pytest.mark.parametrize(
    ("names", "number"),
    [
        ([], 0),
        ([None, "Thread-1 (run)", "MainThread"], 0),
        (MANY, 3),
        ([*MANY, "ThreadPoolExecutor-1_1"], 3),
        (["db_0", "db_1", "db_2"], 1),
        (["db_0", "db_0", "db_1", "db_0"], 3),
    ],
)
def test_executors_that_names_prove(names, number):
    assert executors(names) == number
