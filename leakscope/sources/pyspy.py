"""Runs py-spy, and says why it failed. The only place that starts it."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from leakscope.debugging import debug
from leakscope.errors import (
    DumpFailed,
    DumpHung,
    LeakscopeError,
    NoInterpreter,
    NoSuchProcess,
    NotPermitted,
    Unsupported,
)
from leakscope.sources.child import Child, TooMuch

if TYPE_CHECKING:
    # What is imported up here is waited for before py-spy starts; the rest while it works.
    from leakscope.dumps import DumpedThread
    from leakscope.sources import kernel
    from leakscope.variables import ThreadVariables

# At 4000 threads a dump takes about 2 s; one that takes ten times as long hangs.
DUMP_TIMEOUT_S = 20.0
# With --blocking the target stands still meanwhile, so less patience: of 4000 threads, about 1 s.
BLOCKING_TIMEOUT_S = 10.0
# py-spy 0.4 gives up above this many threads or frames, with a message about something else.
PYSPY_LIMIT = 4096


def find_pyspy() -> str:
    """The py-spy that was installed with leakscope. Raises Unsupported when there is none."""
    name = "py-spy.exe" if os.name == "nt" else "py-spy"
    for path in _where_installed(name):
        if os.access(path, os.X_OK):
            return path
    raise Unsupported(
        "py-spy, which leakscope reads stacks with, is missing or not executable",
        f"Install leakscope anew, or py-spy beside it: {sys.executable} -m pip install py-spy",
    )


def _where_installed(name: str) -> Iterator[str]:
    """The likeliest place first: each of the others takes longer to find out than the last."""
    yield os.path.join(os.path.dirname(sys.executable), name)
    # What was installed with `pip --target`, as within the one-file build, has its programs in a
    # folder beside the packages.
    packages = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    yield os.path.join(packages, "bin", name)
    import sysconfig

    yield os.path.join(sysconfig.get_path("scripts"), name)
    import importlib.metadata

    try:
        files = importlib.metadata.distribution("py-spy").files or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    yield from (str(file.locate()) for file in files if file.name == name)


class PySpy:
    """Dumps the threads of one process, one dump at a time.

    `start` sets off the next dump, so that there is time for something else until it is read.
    """

    def __init__(
        self,
        pid: int,
        *,
        blocking: bool = False,
        variables: bool = False,
        timeout_s: float | None = None,
    ) -> None:
        self.pid = pid
        self.blocking = blocking
        longest_s = min(DUMP_TIMEOUT_S, BLOCKING_TIMEOUT_S) if blocking else DUMP_TIMEOUT_S
        self.timeout_s = timeout_s or longest_s
        self.cpu_s = 0.0  # what all dumps have taken
        self.last_s = 0.0  # how long the latest took
        self._command = [find_pyspy(), "dump", "--json", "--pid", str(pid)]
        if not blocking:
            self._command.append("--nonblocking")
        if variables:
            self._command.append("--locals")
        self._started: Child | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether a dump was set off that was not read yet."""
        return self._started is not None

    def start(self) -> None:
        """Set off a dump, unless one is under way. Raises Unsupported when it cannot be."""
        if self._started is None:
            try:
                self._started = Child(self._command, _environment(), dies_with_us=self.blocking)
            except OSError as error:
                raise Unsupported(f"py-spy cannot be started: {error}") from None

    def is_finished(self, wait_s: float) -> bool:
        """Whether the dump that is under way is over, or is within this time.

        Raises DumpHung when it has taken too long, and ends it.
        """
        assert self._started is not None
        left_s = self._started.began_s + self.timeout_s - time.monotonic()
        try:
            if self._started.is_over(min(wait_s, max(left_s, 0.0))):
                return True
        except TooMuch as error:
            self.close()
            raise DumpFailed(f"py-spy's answer cannot be read: {error}") from None
        except BaseException:  # a second Ctrl-C ends us, and is to leave nothing behind
            self.close()
            raise
        if left_s <= wait_s:
            self.close()
            raise DumpHung(f"py-spy did not answer within {self.timeout_s:.0f} s")
        return False

    def close(self) -> None:
        """End the dump that was set off and not read, if there is one."""
        started, self._started = self._started, None
        if started is not None:
            self.cpu_s += started.end()

    def dump(self) -> tuple[DumpedThread, ...]:
        """The threads now or since `start`, newest first. Raises as `text` does."""
        from leakscope.dumps import parse_dump

        with _readable():
            threads = parse_dump(self.text())
        if not threads:
            raise DumpFailed("py-spy found no threads, and every process has one")
        return threads

    def variables(self, group: str) -> tuple[ThreadVariables, ...]:
        """The threads of a group with their local variables. Raises as `text` does."""
        from leakscope.variables import variables_of_group

        with _readable():
            return variables_of_group(self.text(), group)

    def text(self) -> bytes:
        """What py-spy prints.

        Raises DumpFailed when the next try may succeed; NoSuchProcess, NotPermitted or Unsupported
        when it will not.
        """
        self.start()
        self.is_finished(self.timeout_s)
        started, self._started = self._started, None
        assert started is not None
        self.cpu_s += started.end()
        status, out, err = started.answer()
        self.last_s = time.monotonic() - started.began_s
        debug("%s: status %d in %.3f s", " ".join(self._command), status, self.last_s)
        if status:
            raise explain(err.decode("utf-8", "replace"), self.pid)
        return out


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    from leakscope.dumps import BadDump

    try:
        yield
    except BadDump as error:
        raise DumpFailed(f"py-spy's answer cannot be read: {error}") from None


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
    from leakscope.sources import kernel

    words = said(stderr)
    debug("py-spy said: %s", words)
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
    from leakscope.sources import advice

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
        return NoInterpreter(
            f"process {pid} has {state.threads} threads, and py-spy reads at most {PYSPY_LIMIT}; "
            f"py-spy: {words}",
            lasting=True,
        )
    return NoInterpreter(
        f"py-spy finds no interpreter, as it does where a stack has over {PYSPY_LIMIT} frames; "
        f"py-spy: {words}",
        lasting=False,
    )


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
