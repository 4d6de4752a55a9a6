"""A small service: idle workers, short-lived requests, and consumers that leak on command.

Commands: leak N, release N, autoleak RATE, stop, count, tids, lines, quit.
"""

from __future__ import annotations

import argparse
import inspect
import json
import queue
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

from command_loop import serve

Jobs = queue.Queue  # of anything: subscripting it at run time needs 3.9


def consume(jobs: Jobs[object]) -> None:
    """Leak: wait for a job that nobody will ever put."""
    jobs.get()


def pool_worker(tasks: Jobs[Callable[[], object]]) -> None:
    """Work as any healthy pool does: idle until there is a task."""
    while True:
        task = tasks.get()
        task()


def poll(seconds: float) -> None:
    """Look now and then whether there is something to do, as many a helper thread does."""
    nothing = threading.Event()
    while not nothing.wait(seconds):
        pass


def handle_request(seconds: float, slots: threading.Semaphore) -> None:
    """Take a while, as a request does, then make room for the next one."""
    time.sleep(seconds)
    slots.release()


def accept_requests(alive: int, started: threading.Event) -> None:
    """Keep as many request threads alive, each in its turn replaced by a new one."""
    slots = threading.Semaphore(alive)
    durations_s = random.Random(1)
    accepted = 0
    while True:
        slots.acquire()
        seconds = durations_s.uniform(0.15, 0.45)
        _start(handle_request, seconds, slots, name=f"request-{accepted}")
        accepted += 1
        if accepted == alive:
            started.set()


class Leak:
    """The leaked consumers, each with the queue it waits on."""

    def __init__(self) -> None:
        self._consumers: list[tuple[threading.Thread, Jobs[object]]] = []
        self._started = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._stop.set()
        self._leaking: threading.Thread | None = None

    def grow(self, number: str = "1") -> str:
        """Start that many consumers, and answer once each of them waits."""
        with self._lock:
            for _ in range(int(number)):
                self._add_consumer()
        return self.count()

    def shrink(self, number: str = "1") -> str:
        """Give the oldest consumers what they wait for, so that they end."""
        with self._lock:
            ended = self._consumers[: int(number)]
            del self._consumers[: int(number)]
        for thread, jobs in ended:
            jobs.put(None)
            thread.join()
        return self.count()

    def grow_steadily(self, per_second: str) -> str:
        """Leak at a steady rate until stopped."""
        self.stop()
        self._stop.clear()
        self._leaking = _start(self._leak_steadily, float(per_second), name="autoleak")
        return f"leaking {float(per_second):g} per second"

    def stop(self) -> str:
        """End the steady leak; the consumers leaked by it stay."""
        self._stop.set()
        if self._leaking is not None:
            self._leaking.join()
            self._leaking = None
        return self.count()

    def count(self) -> str:
        """Say how many consumers there are."""
        with self._lock:
            return f"leaked {len(self._consumers)}"

    def tids(self) -> str:
        """Name the threads as the kernel does."""
        with self._lock:
            return json.dumps([thread.native_id for thread, _ in self._consumers])

    def _add_consumer(self) -> None:
        jobs: Jobs[object] = queue.Queue()
        thread = _start(consume, jobs, name=f"consumer-{self._started}")
        self._started += 1
        _wait_for_waiters(jobs, 1)
        self._consumers.append((thread, jobs))

    def _leak_steadily(self, per_second: float) -> None:
        began = time.monotonic()
        leaked = 0
        while not self._stop.wait(max(0.0, began + leaked / per_second - time.monotonic())):
            self.grow()
            leaked += 1


def _start(target: Callable[..., None], *arguments: object, name: str) -> threading.Thread:
    thread = threading.Thread(target=target, args=arguments, name=name, daemon=True)
    thread.start()
    return thread


def _wait_for_waiters(jobs: Jobs[Any], number: int) -> None:
    # Only the condition itself knows that a thread has come to wait, not just started.
    while len(vars(jobs.not_empty)["_waiters"]) < number:
        time.sleep(0.001)


def _start_pool(size: int) -> None:
    tasks: Jobs[Callable[[], object]] = queue.Queue()
    for number in range(size):
        _start(pool_worker, tasks, name=f"pool-{number}")
    _wait_for_waiters(tasks, size)


def _start_executor(size: int) -> ThreadPoolExecutor:
    executor = ThreadPoolExecutor(size, thread_name_prefix="pool")
    # An executor starts a worker only when no other is free: keep all busy at once.
    all_there = threading.Barrier(size)
    for done in [executor.submit(all_there.wait) for _ in range(size)]:
        done.result()
    return executor


def _start_requests(alive: int) -> None:
    started = threading.Event()
    _start(accept_requests, alive, started, name="acceptor")
    started.wait()


def _lines() -> str:
    """Say where each kind of thread blocks."""
    calls: list[tuple[Callable[..., None], str]]
    calls = [(consume, "jobs.get()"), (pool_worker, "tasks.get()"), (handle_request, "sleep(")]
    places: dict[str, object] = {"file": __file__}
    for function, call in calls:
        source, first = inspect.getsourcelines(function)
        places[function.__name__] = first + next(i for i, text in enumerate(source) if call in text)
    return json.dumps(places)


def main() -> None:
    """Start the healthy part, then do as told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=int, default=30, help="idle workers")
    parser.add_argument("--executor", action="store_true", help="workers of an executor instead")
    parser.add_argument("--requests", type=int, default=5, help="request threads always alive")
    parser.add_argument("--pollers", type=int, default=0, help="threads that wake up each second")
    options = parser.parse_args()
    # Held to the end: the workers of an executor end when nothing refers to it any more.
    _executor = _start_executor(options.pool) if options.executor else None
    if not options.executor:
        _start_pool(options.pool)
    if options.requests:
        _start_requests(options.requests)
    for number in range(options.pollers):
        _start(poll, 1.0, name=f"poller-{number}")
    leak = Leak()
    commands: dict[str, Callable[..., str]] = {
        "leak": leak.grow,
        "release": leak.shrink,
        "autoleak": leak.grow_steadily,
        "stop": leak.stop,
        "count": leak.count,
        "tids": leak.tids,
        "lines": _lines,
    }
    serve(commands)


if __name__ == "__main__":
    main()
