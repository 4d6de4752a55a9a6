"""Traces all threads of a process, as strace or a debugger does, until its stdin ends.

Its argument is the PID. The target goes on running: it is seized, not stopped.
"""

from __future__ import annotations

import ctypes
import os
import sys

PTRACE_SEIZE = 0x4206


def main() -> None:
    """Seize, say so, and wait."""
    libc = ctypes.CDLL(None, use_errno=True)
    pid = int(sys.argv[1])
    for task in os.listdir(f"/proc/{pid}/task"):
        if libc.ptrace(PTRACE_SEIZE, int(task), None, None):
            sys.exit(f"cannot trace {task}: {os.strerror(ctypes.get_errno())}")
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
