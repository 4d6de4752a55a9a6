"""A process with children: Python ones by multiprocessing, and others; one command a line.

`child` (a Python child with THREADS threads besides its main one) and `other` (a program that is
not Python) are answered with the PID. `end PID` ends one of either; `stop PID` and `go PID` work by
signal. Each ends by itself when its parent does.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import subprocess
import threading

from command_loop import serve

THREADS = 4

# Every child holds the reading end only: the parent's end closes it.
READ_END, WRITE_END = os.pipe()
children: dict[int, multiprocessing.process.BaseProcess] = {}
others: dict[int, subprocess.Popen[bytes]] = {}


def wait_for_work() -> None:
    """What a child does."""
    os.close(WRITE_END)
    for _ in range(THREADS):
        threading.Thread(target=queue.Queue().get, daemon=True).start()
    os.read(READ_END, 1)
    os._exit(0)


def child() -> str:
    """Start a Python child."""
    process = multiprocessing.get_context("fork").Process(target=wait_for_work)
    process.start()
    assert process.pid is not None
    children[process.pid] = process
    return str(process.pid)


def other() -> str:
    """Start a program that is not Python, and lives as long as its input is open."""
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    others[process.pid] = process
    return str(process.pid)


def end(pid: str) -> str:
    """End a child, and wait for it."""
    os.kill(int(pid), signal.SIGKILL)
    if int(pid) in children:
        children.pop(int(pid)).join()
    else:
        others.pop(int(pid)).wait()
    return "ended"


def stop(pid: str) -> str:
    """Stop a child as a shell's Ctrl-Z does."""
    os.kill(int(pid), signal.SIGSTOP)
    return "stopped"


def go(pid: str) -> str:
    """Let it go on."""
    os.kill(int(pid), signal.SIGCONT)
    return "goes on"


if __name__ == "__main__":
    serve({"child": child, "other": other, "end": end, "stop": stop, "go": go})
