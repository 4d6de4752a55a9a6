"""Runs a scenario: the server that is watched, and the process that loads it."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

LONGEST_S = 400
START_TIMEOUT_S = 60.0
WARM_UP_S = 2.0
PR_SET_PDEATHSIG = 1

Serve = Callable[[int, int], object]
Load = Callable[[int, int], Awaitable[object]]

_leaving = threading.Lock()


def run(serve: Serve, load: Load | None = None) -> None:
    """Be what the command line says: the server, its load, or (by default) what runs both.

    Both are given two free ports: the server's own, and one that the load may serve something on
    that the server calls.
    """
    # However this goes, it ends. Not for the server's sake alone: the load would go on too.
    signal.alarm(LONGEST_S)
    role, *ports = sys.argv[1:] or ["both"]
    if role == "both":
        _run_both(load is not None)
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    port, other = map(int, ports)
    if role == "serve":
        serve(port, other)
    elif load:
        asyncio.run(_awaited(load(port, other)))


def ready(pid: int | None = None) -> None:
    """Say that the server is ready; `pid` is the process to watch, if not this one."""
    _say(f"ready {pid or os.getpid()}")


def leaked(thread: threading.Thread) -> None:
    """Say that a thread is leaked, where neither its stack nor its name tells."""
    _say(f"leaked {thread.native_id}")


@contextlib.contextmanager
def leaving(name: str) -> Iterator[None]:
    """Say that the threads with this in their names are leaked, which begin in the block."""
    with _leaving:
        before = set(threading.enumerate())
        yield
        for thread in set(threading.enumerate()) - before:
            if name in thread.name:
                leaked(thread)


async def _awaited(load: Awaitable[object]) -> None:
    await load


def _say(line: str) -> None:
    # One write, so that lines of several threads cannot mix.
    os.write(1, f"{line}\n".encode())


def _run_both(loaded: bool) -> None:
    assert __name__ != "__main__"
    module = sys.modules["__main__"].__spec__
    assert module is not None
    command = [sys.executable, "-m", module.name]
    ports = [str(port) for port in _free_ports(2)]
    server = subprocess.Popen(
        [*command, "serve", *ports], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    processes = [server]
    try:
        lines = _Lines(server)
        first = lines.next(START_TIMEOUT_S)
        if loaded:
            processes.append(subprocess.Popen([*command, "load", *ports], stdin=subprocess.DEVNULL))
        time.sleep(WARM_UP_S)
        _say(first)
        lines.relay()
    finally:
        for process in processes:
            process.kill()
            process.wait()


class _Lines:
    """The lines that a server prints."""

    def __init__(self, server: subprocess.Popen[bytes]) -> None:
        assert server.stdout is not None
        self._file = server.stdout.fileno()
        self._unread = b""

    def next(self, timeout_s: float) -> str:
        """The next line; raises when none comes."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._file, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(timeout_s):
                    raise TimeoutError("the server is not ready")
                self._unread += self._read()
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def relay(self) -> None:
        """Print on what comes until stdin is closed."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._file, selectors.EVENT_READ)
            selector.register(0, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fd == self._file:
                        os.write(1, self._read())
                    elif not os.read(0, 1024):
                        return

    def _read(self) -> bytes:
        read = os.read(self._file, 65536)
        if not read:
            raise EOFError("the server has ended")
        return read


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
