"""Tells whether processes may be traced here at all, without leakscope or py-spy."""

from __future__ import annotations

import subprocess
import sys

# Run in a process beside the traced one: py-spy is no ancestor of its target either, and
# Yama lets an ancestor do more.
_TRACER = """
import ctypes, os, re, sys

PTRACE_SEIZE = 0x4206
pid = int(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)


def check(what, result):
    if result < 0:
        sys.exit("%s: %s" % (what, os.strerror(ctypes.get_errno())))


class Block(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]


try:
    with open("/proc/%d/maps" % pid) as maps:
        address = next(int(line.split("-")[0], 16) for line in maps if re.search(" r-", line))
except OSError as error:
    sys.exit("reading its memory map: %s" % error)
buffer = ctypes.create_string_buffer(8)
ours = Block(ctypes.cast(buffer, ctypes.c_void_p), 8)
theirs = Block(address, 8)
libc.process_vm_readv.restype = ctypes.c_ssize_t
libc.ptrace.restype = ctypes.c_long
read = libc.process_vm_readv(
    pid, ctypes.byref(ours), ctypes.c_ulong(1), ctypes.byref(theirs), ctypes.c_ulong(1),
    ctypes.c_ulong(0),
)
check("process_vm_readv", read)
check("ptrace", libc.ptrace(PTRACE_SEIZE, pid, None, None))
"""


def why_tracing_is_refused() -> str | None:
    """Return what stands in the way of tracing another process, or None if nothing does."""
    if not sys.platform.startswith("linux"):
        return f"these tests know how to trace on Linux only, not on {sys.platform}"
    waiting = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as target:
        assert target.stdout is not None
        target.stdout.readline()
        tracer = subprocess.run(
            [sys.executable, "-c", _TRACER, str(target.pid)],
            capture_output=True,
            check=False,
            text=True,
            timeout=30,
        )
        assert target.stdin is not None
        target.stdin.close()
    if tracer.returncode == 0:
        return None
    return (tracer.stderr.strip() or f"status {tracer.returncode}").splitlines()[-1]
