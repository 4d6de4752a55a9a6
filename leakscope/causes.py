"""Why a leak leaks and what to write instead. Grows by rows; the first row that fits wins.

A statement (`certain`) is made only where the stack or the thread names prove it. All else is a
hint and is worded as one: the code that started the threads is never on their stacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from leakscope.cases import (
    Case,
    is_client_handler,
    is_idle_worker,
    is_of_library,
    is_of_many_executors,
    is_of_multiprocessing_pool,
    is_runaway,
    is_worker_of_loops,
    library_of,
    waiting,
)
from leakscope.leaks import Cause, Leak


class Row(NamedTuple):
    """One line of the table: when it fits, and the cause that it then gives."""

    id: str
    fits: Callable[[Case], bool]
    certain: bool
    why: str  # `{library}` stands for the package that the threads belong to
    cure: str


ROWS = (
    Row(
        "runaway-loop",
        is_runaway,
        True,
        "The threads never wait and never end: a loop without a way out, or without a pause.",
        "Give the loop an exit condition and a pause: `while not stop.wait(1.0):` with a "
        "`threading.Event`, and `stop.set()` when the work is done.",
    ),
    Row(
        "event-loop-executor",
        is_worker_of_loops,
        True,
        "These are idle workers of the default executors of several event loops, which were not "
        "shut down.",
        "Run coroutines with `asyncio.run(...)`, which shuts the executor down, or call "
        "`loop.run_until_complete(loop.shutdown_default_executor())` before `loop.close()`.",
    ),
    Row(
        "executor-per-call",
        is_of_many_executors,
        False,
        "The thread names show many executors alive at once: it looks like one that is made per "
        "call and never shut down.",
        "Use `with ThreadPoolExecutor() as pool:`, or make one executor at module level and share "
        "it.",
    ),
    Row(
        "executor-kept",
        is_idle_worker,
        False,
        "It looks like executors that are made again and again and kept without `shutdown()`: "
        "their workers idle.",
        "Use `with ThreadPoolExecutor() as pool:`, or make one executor at module level and share "
        "it.",
    ),
    Row(
        "process-pool-per-call",
        waiting(through="concurrent/futures/process:_ExecutorManagerThread.run"),
        True,
        "Each is the manager thread of a `ProcessPoolExecutor` that was not shut down.",
        "Use `with ProcessPoolExecutor() as pool:`, or make one at module level and share it.",
    ),
    Row(
        "thread-pool-per-call",
        is_of_multiprocessing_pool,
        True,
        "These are threads of multiprocessing pools (`ThreadPool` or `Pool`) that were neither "
        "closed nor terminated.",
        "Use `with ThreadPool() as pool:`, or call `pool.close()` and `pool.join()`; where a "
        "client keeps the pool inside, as kubernetes' `ApiClient` does, close the client.",
    ),
    Row(
        "process-queue-never-closed",
        waiting(through="multiprocessing/queues:Queue._feed"),
        True,
        "Each is the feeder thread of a `multiprocessing.Queue` that was not closed.",
        "Call `queue.close()` and `queue.join_thread()`, or make one queue and share it.",
    ),
    Row(
        "log-listener-never-stopped",
        waiting("queue.get", through="logging/handlers:QueueListener._monitor"),
        True,
        "Each is the thread of a `logging.handlers.QueueListener` that was not stopped.",
        "Call `listener.stop()` on the old listener before a new one is started.",
    ),
    Row(
        "timer-rearmed",
        waiting("timer"),
        False,
        "Each is a `threading.Timer` that has not fired; it looks like timers are armed again "
        "while the one before still runs.",
        "Keep the handle and call `timer.cancel()` before the next `Timer(...)`, or use one "
        "scheduler thread: `while not stop.wait(interval):`.",
    ),
    Row(
        "executor-waits-for-hung-task",
        waiting("join", through="concurrent/futures/thread:ThreadPoolExecutor.shutdown"),
        True,
        "Each is in `ThreadPoolExecutor.shutdown()` and waits for a task that does not end.",
        "Give what the task calls a timeout, or leave with "
        "`pool.shutdown(wait=False, cancel_futures=True)`.",
    ),
    Row(
        "join-never-returns",
        waiting("join"),
        True,
        "Each waits in `Thread.join` for a thread that does not end.",
        "Find that thread (it is likely in this report too) and tell it to stop before the join: "
        "`stop.set()`; then `thread.join(timeout=10)`.",
    ),
    Row(
        "coroutine-never-ends",
        waiting("event loop", through="asyncio/base_events:BaseEventLoop.run_until_complete"),
        False,
        "It looks like a coroutine that never ends, each in an event loop and a thread of its own.",
        "Put a limit on it: `async with asyncio.timeout(30):`, or keep the task and call "
        "`loop.call_soon_threadsafe(task.cancel)`.",
    ),
    Row(
        "event-loop-never-stopped",
        waiting("event loop", through="asyncio/base_events:BaseEventLoop.run_forever"),
        True,
        "Each runs an event loop of its own, which idles and was not stopped.",
        "Call `loop.call_soon_threadsafe(loop.stop)`, then `thread.join()` and `loop.close()`.",
    ),
    Row(
        "handler-waits-for-client",
        is_client_handler,
        False,
        "It looks like one thread per connection, each waiting for a client that sends nothing.",
        "Set the handler class's `timeout = 60` (`StreamRequestHandler` and "
        "`BaseHTTPRequestHandler` put it on the socket), or call `self.request.settimeout(60)`.",
    ),
    Row(
        "request-without-timeout",
        waiting("socket.recv", "socket.connect", "socket.resolve", "select", through="requests/"),
        False,
        "It looks like a request without a timeout, to a server that does not answer.",
        "Pass one to each call: `requests.get(url, timeout=(3.05, 27))`.",
    ),
    Row(
        "urlopen-without-timeout",
        waiting(
            "socket.recv", "socket.connect", "socket.resolve", through="urllib/request:urlopen"
        ),
        False,
        "It looks like `urlopen` without a timeout, to a server that does not answer.",
        "Pass one to each call: `urllib.request.urlopen(url, timeout=10)`.",
    ),
    Row(
        "client-never-closed",
        is_of_library,
        False,
        "These are threads of {library} itself; it looks like one of its objects is made per call "
        "or per error and never closed.",
        "Make one at module level and share it, or close each: `with ... as client:`, or "
        "`client.close()` in a `finally`, also where the constructor fails.",
    ),
    Row(
        "process-without-timeout",
        waiting("subprocess"),
        False,
        "It looks like a child process that does not end, waited for without a timeout.",
        "Use `subprocess.run(..., timeout=30)`, or `process.wait(timeout=30)` and then "
        "`process.kill()`.",
    ),
    Row(
        "pipe-without-timeout",
        waiting("pipe.recv", "pipe.read", "pipe.open"),
        False,
        "It looks like a pipe whose other end is open and silent.",
        "Ask before reading: `connection.poll(timeout)`; close the write end in this process, and "
        "end the child that holds the other.",
    ),
    Row(
        "recv-without-timeout",
        waiting("socket.recv"),
        False,
        "It looks like a socket without a timeout, whose peer is silent.",
        "Call `sock.settimeout(30)` (or the client's own `timeout=`), and close the socket when "
        "it fires.",
    ),
    Row(
        "connect-without-timeout",
        waiting("socket.connect", "socket.resolve"),
        False,
        "It looks like a connection attempt without a timeout, to a host that does not answer.",
        "Use `socket.create_connection(address, timeout=5)`, or the client's own "
        "`connect_timeout=`.",
    ),
    Row(
        "send-without-timeout",
        waiting("socket.send", "pipe.send", "pipe.write"),
        False,
        "It looks like a peer that no longer reads: the buffer to it is full.",
        "Call `sock.settimeout(30)`, and close the connection when it fires.",
    ),
    Row(
        "listener-never-closed",
        waiting("socket.accept"),
        False,
        "It looks like a listening socket per call, each with a thread that accepts from it.",
        "Call `server.shutdown()` and `server.server_close()`, or close the listening socket.",
    ),
    Row(
        "future-never-done",
        waiting("future"),
        False,
        "It looks like a result that is waited for without a timeout, of a task that hangs or "
        "never gets a worker.",
        "Use `future.result(timeout=30)`, and give what the task itself calls a timeout; never "
        "wait for a task from inside the same pool.",
    ),
    Row(
        "queue-full",
        waiting("queue.put"),
        True,
        "Each is in `Queue.put` and waits for room: the queue is full, and its consumer has gone "
        "or is too slow.",
        "Restart the consumer when it fails, and use `queue.put(item, timeout=5)` with a way to "
        "drop or refuse work on `queue.Full`.",
    ),
    Row(
        "producer-gone",
        waiting("queue.get"),
        False,
        "It looks like a consumer whose producer has gone: it waits in `get` for an item that "
        "never comes.",
        "Put a sentinel per consumer when the producer ends (`queue.put(None)`; from 3.13 on "
        "`queue.shutdown()`), or loop over `queue.get(timeout=1)` and a stop flag.",
    ),
    Row(
        "queue-never-done",
        waiting("queue.join"),
        False,
        "It looks like items that were taken from a queue without `task_done()`.",
        "Call `queue.task_done()` in a `finally` after each `get`, also when the work fails.",
    ),
    Row(
        "no-stop-event",
        waiting("event"),
        False,
        "It looks like a loop around `Event.wait` that nobody tells to stop, or an event that "
        "nobody sets.",
        "Call `stop.set()` and then `thread.join()` when its owner is closed; where it waits for "
        "an answer, use `event.wait(timeout=30)`.",
    ),
    Row(
        "no-notify",
        waiting("condition"),
        False,
        "It looks like a wait for a condition that nobody makes true any more.",
        "Set a stop flag and call `condition.notify_all()` when its owner is closed, and wait "
        "with `condition.wait_for(lambda: stopped or ready, timeout=30)`.",
    ),
    Row(
        "semaphore-never-released",
        waiting("semaphore"),
        False,
        "It looks like a semaphore that is not released on some path, such as an exception.",
        "Use `with semaphore:`, or `semaphore.acquire(timeout=30)`.",
    ),
    Row(
        "barrier-incomplete",
        waiting("barrier"),
        True,
        "Each is in `Barrier.wait`, and not all of its parties have come.",
        "Use `threading.Barrier(parties, timeout=30)`, and `barrier.abort()` when a party fails.",
    ),
    Row(
        "lock-never-released",
        waiting("lock"),
        False,
        "It looks like a lock that its holder does not release, or that ended without releasing "
        "(or a SimpleQueue that nobody fills: both wait alike).",
        "Use `with lock:`; find the holder, which is likely a thread that waits inside such a "
        "block, and move its wait out of it; `lock.acquire(timeout=30)` makes it seen.",
    ),
    Row(
        "file-lock-never-released",
        waiting("file lock"),
        False,
        "It looks like a file lock that another process or thread holds.",
        "Use `fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)` with a deadline, and close the "
        "file in the holder.",
    ),
    Row(
        "poll-without-stop",
        waiting("sleep"),
        False,
        "It looks like a loop around `time.sleep` without a way to stop it.",
        "Use `while not stop.wait(interval):` with a `threading.Event`; call `stop.set()` and "
        "`thread.join()` when its owner is closed.",
    ),
    Row(
        "select-without-stop",
        waiting("select"),
        False,
        "It looks like a loop around `select` whose connections are silent and that nobody stops.",
        "Pass a timeout and look at a stop flag each time, or stop the loop where its connection "
        "is closed.",
    ),
)


def cause_of(leak: Leak, names: Sequence[str | None]) -> Cause | None:
    """Why these threads leak, as far as the stack and their names tell; None where they don't."""
    case = Case(leak, names)
    for row in ROWS:
        if row.fits(case):
            why = row.why.replace("{library}", library_of(leak.frames) or "a library")
            return Cause(row.id, row.certain, why, row.cure)
    return None
