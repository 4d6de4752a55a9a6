"""One thread for each kind of wait, each named for it.

A wait of our own stands in the function of that name, at the line marked "# blocks"; the others
are workers of the standard library. Commands: tids, lines, busy, idle, child, quit.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import inspect
import json
import multiprocessing.pool
import os
import queue
import select
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable

from command_loop import serve

DAY_S = 86400.0


def queue_get() -> None:
    jobs: queue.Queue[object] = queue.Queue()
    jobs.get()  # blocks


def queue_put() -> None:
    jobs: queue.Queue[object] = queue.Queue(maxsize=1)
    jobs.put(1)
    jobs.put(2)  # blocks


def simple_queue_get() -> None:
    jobs: queue.SimpleQueue[object] = queue.SimpleQueue()
    jobs.get()  # blocks


def lock_acquire() -> None:
    lock = threading.Lock()
    lock.acquire()
    with lock:  # blocks
        pass


def rlock_acquire() -> None:
    with HELD_RLOCK:  # blocks
        pass


def condition_wait() -> None:
    changed = threading.Condition()
    with changed:
        changed.wait()  # blocks


def event_wait() -> None:
    threading.Event().wait()  # blocks


def event_wait_timeout() -> None:
    stop = threading.Event()
    while not stop.wait(0.5):  # blocks
        pass


def semaphore_acquire() -> None:
    threading.Semaphore(0).acquire()  # blocks


def barrier_wait() -> None:
    threading.Barrier(2).wait()  # blocks


def thread_join() -> None:
    THREADS["event_wait"].join()  # blocks


def future_result() -> None:
    answer: Future[object] = Future()
    answer.result()  # blocks


def time_sleep() -> None:
    time.sleep(DAY_S)  # blocks


def socket_recv() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.recv(1)  # blocks


def socket_accept() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.accept()  # blocks


def select_select() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        select.select([ours], [], [])  # blocks


def selector_select() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, selectors.DefaultSelector() as selector:
        selector.register(ours, selectors.EVENT_READ)
        selector.select()  # blocks


def subprocess_wait() -> None:
    CHILD.wait()  # blocks


def pipe_read() -> None:
    readable, _writable = os.pipe()
    os.read(readable, 1)  # blocks


def file_lock() -> None:
    # Opened anew: locks of the same open file don't exclude each other.
    with open(f"/proc/self/fd/{HELD_FILE.fileno()}", "rb") as again:
        fcntl.flock(again, fcntl.LOCK_EX)  # blocks


def asyncio_loop() -> None:
    asyncio.new_event_loop().run_forever()  # blocks


WAITS: tuple[Callable[[], None], ...] = (
    queue_get,
    queue_put,
    simple_queue_get,
    lock_acquire,
    rlock_acquire,
    condition_wait,
    event_wait,
    event_wait_timeout,
    semaphore_acquire,
    barrier_wait,
    thread_join,
    future_result,
    time_sleep,
    socket_recv,
    socket_accept,
    select_select,
    selector_select,
    subprocess_wait,
    pipe_read,
    file_lock,
    asyncio_loop,
)

THREADS: dict[str, threading.Thread] = {}
HELD_RLOCK = threading.RLock()
HELD_FILE = tempfile.TemporaryFile()  # noqa: SIM115 - held to the end of the process
CHILD = subprocess.Popen(
    # It ends with us: its stdin closes then.
    [sys.executable, "-c", "import sys; sys.stdin.read()"],
    stdin=subprocess.PIPE,
    stdout=subprocess.DEVNULL,
)


def busy_loop(stop: threading.Event) -> None:
    """Compute for ever."""
    while not stop.is_set():
        sum(range(1000))


class Busy:
    """The one thread that does not wait, off at first."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> str:
        """Start it, if it does not run."""
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(
                target=busy_loop, args=(self._stop,), name="busy_loop", daemon=True
            )
            self._thread.start()
            THREADS["busy_loop"] = self._thread
        return "busy"

    def stop(self) -> str:
        """End it, if it runs."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None
            del THREADS["busy_loop"]
        return "idle"


def _blocking_line(wait: Callable[[], None]) -> int:
    source, first = inspect.getsourcelines(wait)
    return first + next(i for i, text in enumerate(source) if text.rstrip().endswith("# blocks"))


def _lines() -> str:
    """Say where each wait of our own blocks."""
    places: dict[str, object] = {wait.__name__: _blocking_line(wait) for wait in WAITS}
    return json.dumps({"file": __file__, **places})


def _tids() -> str:
    """Name the threads as the kernel does."""
    return json.dumps({name: thread.native_id for name, thread in THREADS.items()})


def _is_at(thread: threading.Thread, wait: Callable[[], None], line: int) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if frame.f_code is wait.__code__:
            return frame.f_lineno == line
        frame = frame.f_back
    return False


def _start_waits() -> None:
    for wait in WAITS:
        thread = threading.Thread(target=wait, name=wait.__name__, daemon=True)
        THREADS[wait.__name__] = thread
        thread.start()
        line = _blocking_line(wait)
        while not _is_at(thread, wait, line):
            if not thread.is_alive():
                raise RuntimeError(f"{wait.__name__} did not block")
            time.sleep(0.001)


def _start_library_workers() -> tuple[object, ...]:
    """Start the waits that happen in functions of the standard library only."""
    executor = ThreadPoolExecutor(1)
    # Nothing is forked; the newer default would start a process to track semaphores.
    multiprocessing.set_start_method("fork")
    pool = multiprocessing.pool.ThreadPool(1)
    timer = threading.Timer(DAY_S, print)
    timer.daemon = True
    timer.start()
    THREADS["executor_idle"] = executor.submit(threading.current_thread).result()
    THREADS["thread_pool_idle"] = pool.apply(threading.current_thread)
    THREADS["timer"] = timer
    for name, thread in THREADS.items():
        thread.name = name
    return executor, pool


def main() -> None:
    """Let every thread come to its wait, then do as told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--busy", action="store_true", help="start the busy loop at once")
    options = parser.parse_args()
    HELD_RLOCK.acquire()
    fcntl.flock(HELD_FILE, fcntl.LOCK_EX)
    _start_waits()
    _kept_alive = _start_library_workers()
    busy = Busy()
    if options.busy:
        busy.start()
    serve(
        {
            "tids": _tids,
            "lines": _lines,
            "busy": busy.start,
            "idle": busy.stop,
            "child": lambda: str(CHILD.pid),
        }
    )


if __name__ == "__main__":
    main()
