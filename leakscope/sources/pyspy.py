"""Runs py-spy, and says why it failed. The only place that starts it."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
import logging
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

from leakscope.dumps import BadDump, DumpedThread, parse_dump
from leakscope.errors import (
    DumpFailed,
    DumpHung,
    LeakscopeError,
    NoSuchProcess,
    NotPermitted,
    Unsupported,
)
from leakscope.sources import advice, kernel

_log = logging.getLogger(__name__)

# At 4000 threads a dump takes about 2 s; one that takes ten times as long hangs.
DUMP_TIMEOUT_S = 20.0
# With --blocking the target stands still meanwhile, so less patience: of 4000 threads, about 1 s.
BLOCKING_TIMEOUT_S = 10.0
# py-spy 0.4 gives up above this many threads or frames, with a message about something else.
PYSPY_LIMIT = 4096


def find_pyspy() -> str:
    """The py-spy that was installed with leakscope. Raises Unsupported when there is none."""
    name = "py-spy.exe" if os.name == "nt" else "py-spy"
    folders = (Path(sys.executable).parent, Path(sysconfig.get_path("scripts")))
    for folder in folders:
        if os.access(folder / name, os.X_OK):
            return str(folder / name)
    try:
        files = importlib.metadata.distribution("py-spy").files or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if file.name == name and os.access(path, os.X_OK):
            return str(path)
    raise Unsupported(
        "py-spy, which leakscope reads stacks with, is missing or not executable",
        f"Install leakscope anew, or py-spy beside it: {sys.executable} -m pip install py-spy",
    )


class PySpy:
    """Dumps the threads of one process, one dump at a time."""

    def __init__(self, pid: int, *, blocking: bool = False, variables: bool = False) -> None:
        self.pid = pid
        self.blocking = blocking
        self.timeout_s = min(DUMP_TIMEOUT_S, BLOCKING_TIMEOUT_S) if blocking else DUMP_TIMEOUT_S
        self._command = [find_pyspy(), "dump", "--json", "--pid", str(pid)]
        if not blocking:
            self._command.append("--nonblocking")
        if variables:
            self._command.append("--locals")

    def dump(self) -> tuple[DumpedThread, ...]:
        """The threads now, newest first. Raises as `text` does."""
        try:
            threads = parse_dump(self.text())
        except BadDump as error:
            raise DumpFailed(f"py-spy's answer cannot be read: {error}") from None
        if not threads:
            raise DumpFailed("py-spy found no threads, and every process has one")
        return threads

    def text(self) -> bytes:
        """What py-spy prints.

        Raises DumpFailed when the next try may succeed; NoSuchProcess, NotPermitted or Unsupported
        when it will not.
        """
        began_s = time.monotonic()
        try:
            done = subprocess.run(
                self._command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=_environment(),
                timeout=self.timeout_s,
                check=False,
                preexec_fn=_die_with_parent(os.getpid()),
                # Ctrl-C goes to the whole foreground group; a dump in flight is to be finished.
                process_group=0,
            )
        except subprocess.TimeoutExpired:
            raise DumpHung(f"py-spy did not answer within {self.timeout_s:.0f} s") from None
        except OSError as error:
            raise Unsupported(f"py-spy cannot be started: {error}") from None
        took_s = time.monotonic() - began_s
        _log.debug("%s: status %d in %.3f s", " ".join(self._command), done.returncode, took_s)
        if done.returncode:
            raise explain(done.stderr.decode("utf-8", "replace"), self.pid)
        return done.stdout


def _die_with_parent(parent: int) -> Callable[[], None] | None:
    """What a child does, before it becomes py-spy, to be killed when leakscope is; Linux only.

    Else a blocking py-spy that hangs (a thread in an uninterruptible sleep does that) would hold
    the target for ever: nobody would be left to end it. The kernel lets go of a target when its
    tracer dies.
    """
    if _PRCTL is None:
        return None
    prctl = _PRCTL

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before it was asked
            os._exit(1)

    return ask


def _find_prctl() -> Callable[[int, int], int] | None:
    # Found before the fork: between it and the exec there is to be no import and no look-up.
    with contextlib.suppress(OSError, AttributeError):
        if kernel.ON_LINUX:
            prctl = ctypes.CDLL(None).prctl
            prctl.argtypes = (ctypes.c_int, ctypes.c_ulong)
            found: Callable[[int, int], int] = prctl
            return found
    return None


_PRCTL = _find_prctl()
_PR_SET_PDEATHSIG = 1


def _environment() -> dict[str, str]:
    """Ours, without what makes a Rust program add its backtrace and log to what it says."""
    unwanted = ("RUST_BACKTRACE", "RUST_LOG", "RUST_LIB_BACKTRACE")
    return {name: value for name, value in os.environ.items() if name not in unwanted}


def said(stderr: str) -> str:
    """What py-spy said, on one line, without its backtrace."""
    text = re.split(r"\n\s*(?:\d+: .*\n\s+at |Stack backtrace:)", stderr)[0]
    lines = [line.strip() for line in text.splitlines()]
    kept = [re.sub(r"^(?:Error|Caused by): ?|^\d+: ", "", line) for line in lines if line]
    return ": ".join(line for line in kept if line) or "it said nothing"


def explain(stderr: str, pid: int) -> LeakscopeError:
    """The error that a failed dump amounts to, from py-spy's words and the state of the process."""
    words = said(stderr)
    _log.debug("py-spy said: %s", words)
    state = kernel.process_state(pid)
    if kernel.ON_LINUX and state is None:
        return NoSuchProcess(f"there is no process {pid} (any more); py-spy: {words}")
    if state is not None and state.state in "ZX" and state.threads > 1:
        # Without it py-spy finds no memory map. Of a process that is just ending it is true too.
        return NoSuchProcess(
            f"the main thread of process {pid} has ended; {state.threads - 1} of its threads are "
            f"still there, but cannot be looked at; py-spy: {words}"
        )
    if state is not None and state.state in "ZX":
        return NoSuchProcess(f"process {pid} has ended: it is a zombie; py-spy: {words}")
    if state is not None and state.is_kernel_thread:
        return Unsupported(f"process {pid} is a thread of the kernel, not a Python process")
    for pattern, make in _MEANINGS:
        if re.search(pattern, stderr, re.IGNORECASE):
            return make(pid, words, state)
    return DumpFailed(f"py-spy: {words}")


def _not_permitted(pid: int, words: str, state: kernel.ProcessState | None) -> LeakscopeError:
    if "suspend" in words:
        # Only one process can trace another; that one may have let go in the meantime.
        tracer = f"process {state.tracer_pid}" if state and state.tracer_pid else "another process"
        return DumpFailed(f"process {pid} is traced by {tracer}; py-spy: {words}")
    return NotPermitted(
        f"not permitted to look into process {pid}; py-spy: {words}", advice.for_permission(pid)
    )


def _not_python(pid: int, words: str, state: kernel.ProcessState | None) -> LeakscopeError:
    return Unsupported(
        f"process {pid} is not a Python process; py-spy: {words}",
        "`leakscope ps` lists the Python processes that you can look at.",
    )


def _too_new(pid: int, words: str, state: kernel.ProcessState | None) -> LeakscopeError:
    return Unsupported(
        f"process {pid} runs a Python that this py-spy cannot read; py-spy: {words}",
        f"A newer py-spy may know it: {sys.executable} -m pip install --upgrade py-spy",
    )


def _no_interpreter(pid: int, words: str, state: kernel.ProcessState | None) -> LeakscopeError:
    if state is not None and state.threads > PYSPY_LIMIT:
        return DumpFailed(
            f"process {pid} has {state.threads} threads, and py-spy reads at most {PYSPY_LIMIT}; "
            f"py-spy: {words}"
        )
    return DumpFailed(f"py-spy: {words}")


def _stopped(pid: int, words: str, state: kernel.ProcessState | None) -> LeakscopeError:
    return DumpFailed(
        f"process {pid} is stopped (SIGSTOP), and a blocking dump cannot be made; py-spy: {words}"
    )


def _no_file(pid: int, words: str, state: kernel.ProcessState | None) -> LeakscopeError:
    with contextlib.suppress(OSError):
        root = os.readlink(f"/proc/{pid}/root")
        if root != os.readlink("/proc/self/root"):
            # py-spy looks below that folder for what the kernel names with that folder.
            return DumpFailed(
                f"process {pid} lives in a chroot, {root}, where py-spy does not find its shared "
                f"libraries; leakscope run inside that chroot does; py-spy: {words}"
            )
    return DumpFailed(f"py-spy: {words}")


# What py-spy 0.4 says, and what it means. Texts change: what none of these fits may pass by itself.
_MEANINGS = (
    (r"unexpected waitpid result", _stopped),
    (r"permission denied|operation not permitted|os error 13\b", _not_permitted),
    (r"failed to find python version from target process", _not_python),
    (r"unsupported version of python", _too_new),
    (r"no such file or directory", _no_file),
    (r"failed to find a python interpreter", _no_interpreter),
)
