"""A program to which things happen on command: it forks, becomes another, or grows what py-spy
cannot read. It begins with five workers that wait.

Commands: threads N, deep N, native N, unnamed N, named KIND N, hidden N, interpreters N, fork,
vfork, become ARGUMENTS, leave, user UID, churn SECONDS, churned, count, quit.
"""

from __future__ import annotations

import _thread
import ctypes
import importlib
import os
import signal
import sys
import threading
import time
from typing import Any, Callable

from command_loop import serve

WORKERS = 5
# What a thread that only waits needs of address space, so that thousands fit.
SMALL_STACK = 256 * 1024

FOR_EVER = threading.Event()
KEPT: list[object] = []  # what must not be collected while threads use it


def wait_for_ever(started: threading.Semaphore) -> None:
    """Say that it has started, and wait for what never comes."""
    started.release()
    FOR_EVER.wait()


def _start(
    number: int,
    target: Callable[..., None] = wait_for_ever,
    *,
    name: str | None = None,
    stack: int = SMALL_STACK,
) -> None:
    """Start threads, and return when all of them run their target."""
    before = threading.stack_size(stack)
    started = threading.Semaphore(0)
    try:
        for _ in range(number):
            threading.Thread(target=target, args=(started,), name=name, daemon=True).start()
    finally:
        threading.stack_size(before)
    for _ in range(number):
        started.acquire()


def threads(number: str) -> str:
    """Start so many threads that wait."""
    _start(int(number))
    return count()


def deep(frames: str) -> str:
    """Start a thread that waits below so many frames."""
    depth = int(frames)
    sys.setrecursionlimit(depth + 1000)

    def descend(started: threading.Semaphore, left: int = depth) -> None:
        if left:
            descend(started, left - 1)
        else:
            wait_for_ever(started)

    # Until 3.10 each call of a Python function takes about half a KiB of the C stack too.
    _start(1, descend, stack=min(depth * 2048 + SMALL_STACK, 1 << 29))
    return count()


def native(number: str) -> str:
    """Start threads that Python knows nothing of: each is in libc's pause."""
    libc = ctypes.CDLL(None)
    routine = ctypes.cast(libc.pause, ctypes.c_void_p)
    for _ in range(int(number)):
        handle = ctypes.c_ulong()
        failed = libc.pthread_create(ctypes.byref(handle), None, routine, None)
        assert not failed, os.strerror(failed)
    return count()


def unnamed(number: str) -> str:
    """Start threads below `threading`, which then has no name for them."""
    started = threading.Semaphore(0)
    for _ in range(int(number)):
        _thread.start_new_thread(wait_for_ever, (started,))
    for _ in range(int(number)):
        started.acquire()
    return count()


NAMES = {
    "equal": "the-same",
    "long": "n" * 5000,
    "surrogate": "half-\ud800-pair",
    "empty": "",
}


def named(kind: str, number: str) -> str:
    """Start threads whose names are peculiar."""
    _start(int(number), name=NAMES[kind])
    return count()


def hidden(number: str) -> str:
    """Start threads in a function from a file whose name is not UTF-8."""
    source = "def wait_hidden(started):\n    started.release()\n    FOR_EVER.wait()\n"
    space: dict[str, Any] = {"FOR_EVER": FOR_EVER}
    exec(compile(source, os.fsdecode(b"/srv/caf\xe9/jobs.py"), "exec"), space)
    _start(int(number), space["wait_hidden"])
    return count()


IN_INTERPRETER = """
import os, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
os.write({writer}, b"x")
threading.Event().wait()
"""


def interpreters(number: str) -> str:
    """Start sub-interpreters, with two threads that wait in each."""
    try:
        module = importlib.import_module("_interpreters")
    except ImportError:
        module = importlib.import_module("_xxsubinterpreters")
    reader, writer = os.pipe()
    for _ in range(int(number)):
        try:
            made = module.create("legacy")  # from 3.13 on; the others allow no daemon threads
        except TypeError:
            made = module.create(isolated=False)
        KEPT.append(made)
        code = IN_INTERPRETER.format(writer=writer)
        _thread.start_new_thread(module.run_string, (made, code))
        os.read(reader, 1)
    return count()


def fork() -> str:
    """Fork; the child starts three threads of its own and waits."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.read(reader, 1)
        return f"child {child}"
    threading.Thread(target=FOR_EVER.wait, daemon=True).start()
    _start(2)
    os.write(writer, b"x")
    # Not to outlive the tests, whatever happens to them.
    time.sleep(60)
    os._exit(0)


CLONE_VFORK = 0x4000
SYS_CLONE = 56  # on x86-64


def vfork() -> str:
    """Have a thread wait for a child that does nothing: no signal and no tracer can end that wait.

    The child has memory of its own, unlike that of a real vfork, so it may be a Python that hangs.
    """
    reader, writer = os.pipe()

    def wait() -> None:
        libc = ctypes.CDLL(None)
        if libc.syscall(SYS_CLONE, CLONE_VFORK | signal.SIGCHLD, 0, 0, 0, 0) == 0:
            os.write(writer, b"%d\n" % os.getpid())
            time.sleep(60)
            os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
    return f"child {int(os.read(reader, 16))}"


def become(*arguments: str) -> str:
    """Execute another program in place of this one."""
    os.execv(arguments[0], arguments)


def user(uid: str) -> str:
    """Go on as another user, in all threads."""
    os.setuid(int(uid))
    return count()


def leave() -> str:
    """End the main thread, and it alone."""
    ctypes.CDLL(None).pthread_exit(None)
    raise AssertionError("unreachable")


class Churn:
    """Threads made and ended as fast as Python can."""

    def __init__(self) -> None:
        self.made = 0
        self._until = 0.0

    def begin(self, seconds: str) -> str:
        """Churn for so long, in a thread of its own."""
        self._until = time.monotonic() + float(seconds)
        threading.Thread(target=self._spawn, name="spawner", daemon=True).start()
        return "churning"

    def _spawn(self) -> None:
        while time.monotonic() < self._until:
            thread = threading.Thread(target=live_briefly, args=(self.made,))
            thread.start()
            self.made += 1
            if self.made % 4 == 0:  # at times some live together
                thread.join()

    def count(self) -> str:
        """Say how many threads it has made."""
        return f"made {self.made}"


def live_briefly(number: int) -> int:
    """Do next to nothing, two calls deep."""
    return squared(number) % 7


def squared(number: int) -> int:
    """Be a frame to be seen."""
    return number * number


def count() -> str:
    """Say how many OS threads there are."""
    return f"threads {len(os.listdir('/proc/self/task'))}"


if __name__ == "__main__":
    _start(WORKERS)
    churn = Churn()
    serve(
        {
            "threads": threads,
            "deep": deep,
            "native": native,
            "unnamed": unnamed,
            "named": named,
            "hidden": hidden,
            "interpreters": interpreters,
            "fork": fork,
            "vfork": vfork,
            "become": become,
            "leave": leave,
            "user": user,
            "churn": churn.begin,
            "churned": churn.count,
            "count": count,
        }
    )
