"""What py-spy's failures mean. The texts are its own (0.4.3), as measured on real processes."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import sysconfig
from pathlib import Path

import pytest

from leakscope.errors import (
    DumpFailed,
    LeakscopeError,
    NoInterpreter,
    NoSuchProcess,
    NotPermitted,
    Unsupported,
)
from leakscope.sources import advice, kernel
from leakscope.sources.kernel import ProcessState
from leakscope.sources.pyspy import PYSPY_LIMIT, PySpy, _environment, explain, find_pyspy, said

PID = 4711

ALIVE = ProcessState("S", 1000, 0, 12, is_kernel_thread=False, image=0)
GONE = None
ZOMBIE = ALIVE._replace(state="Z", threads=1)
HEADLESS = ALIVE._replace(state="Z")
KERNEL_THREAD = ALIVE._replace(is_kernel_thread=True, threads=1)
TRACED = ALIVE._replace(tracer_pid=99)
STOPPED = ALIVE._replace(state="T")
HUGE = ALIVE._replace(threads=PYSPY_LIMIT + 1)


def message(error: str, *causes: str) -> str:
    """An error as py-spy prints it: one cause stands alone, several are numbered."""
    if not causes:
        return f"Error: {error}\n"
    numbered = causes if len(causes) == 1 else [f"{i}: {cause}" for i, cause in enumerate(causes)]
    return "\n".join([f"Error: {error}", "", "Caused by:", *(f"    {line}" for line in numbered)])


NO_FILE = "No such file or directory (os error 2)"
NO_PROCESS = "No such process (os error 3)"
BAD_ADDRESS = "Bad address (os error 14)"
EPERM = "EPERM: Operation not permitted"
NO_NAME = message(
    "Failed to get process executable name. Check that the process is running.", NO_FILE, NO_FILE
)
NO_VERSION = message("Failed to find python version from target process")
NO_INTERPRETER = message("Failed to find a python interpreter in the .data section")
DENIED = (
    "Permission Denied: Try running again with elevated permissions by going "
    "'sudo env \"PATH=$PATH\" !!'\n"
)
NO_STACKS = "Failed to get stack traces"
ONE_THREAD = "Failed to call get_stack_trace for thread 140577975404224"
WAITPID = f"unexpected waitpid result PtraceEvent(Pid({PID}), SIGSTOP, 128) to {PID}"

CASES = {
    "no such pid": (NO_NAME, GONE, NoSuchProcess, "there is no process 4711"),
    "zombie": (NO_NAME, ZOMBIE, NoSuchProcess, "it is a zombie"),
    "no main thread": (NO_NAME, HEADLESS, NoSuchProcess, "11 of its threads are still there"),
    "thread of the kernel": (NO_NAME, KERNEL_THREAD, Unsupported, "a thread of the kernel"),
    "sleep": (NO_VERSION, ALIVE, Unsupported, "is not a Python process"),
    "too new a Python": (
        message("Unsupported version of Python: 3.16.0"),
        ALIVE,
        Unsupported,
        "a Python that this py-spy cannot read",
    ),
    "other user": (DENIED, ALIVE, NotPermitted, "not permitted to look into process 4711"),
    "refused by the kernel": (
        message("Failed to open process", "Permission denied (os error 13)"),
        ALIVE,
        NotPermitted,
        "os error 13",
    ),
    "exits mid-dump": (message(NO_PROCESS), GONE, NoSuchProcess, NO_PROCESS),
    "exits mid-dump, no file": (message(NO_FILE), GONE, NoSuchProcess, NO_FILE),
    "exits mid-dump, within a stack": (
        message(NO_STACKS, ONE_THREAD, NO_PROCESS),
        ZOMBIE,
        NoSuchProcess,
        "has ended",
    ),
    "one thread exits mid-dump": (message(NO_PROCESS), ALIVE, DumpFailed, NO_PROCESS),
    "stopped, blocking": (
        message("Failed to suspend process", "0", WAITPID),
        STOPPED,
        DumpFailed,
        "is stopped",
    ),
    "traced by strace": (
        message("Failed to suspend process", EPERM),
        TRACED,
        DumpFailed,
        "is traced by process 99",
    ),
    "torn frame": (
        message(NO_STACKS, ONE_THREAD, "Failed to copy PyFrameObject", BAD_ADDRESS),
        ALIVE,
        DumpFailed,
        "Failed to copy PyFrameObject",
    ),
    "torn code": (
        message(NO_STACKS, ONE_THREAD, "Failed to copy PyCodeObject", BAD_ADDRESS),
        ALIVE,
        DumpFailed,
        "Failed to copy PyCodeObject",
    ),
    "torn thread": (
        message("Failed to copy PyThreadState", BAD_ADDRESS), ALIVE, DumpFailed, BAD_ADDRESS,
    ),
    "torn list of threads": (
        message("Failed to copy PyThreadState head pointer", BAD_ADDRESS),
        ALIVE,
        DumpFailed,
        "head pointer",
    ),
    "no interpreter for a moment": (NO_INTERPRETER, ALIVE, NoInterpreter, "python interpreter"),
    "no interpreter: more threads than py-spy reads": (
        NO_INTERPRETER, HUGE, NoInterpreter, "has 4097 threads, and py-spy reads at most 4096",
    ),
    "another mount namespace": (message(NO_FILE), ALIVE, DumpFailed, NO_FILE),
    "mid exec": (message(BAD_ADDRESS), ALIVE, DumpFailed, BAD_ADDRESS),
    "nothing": ("", ALIVE, DumpFailed, "it said nothing"),
    "killed": ("\n", GONE, NoSuchProcess, "it said nothing"),
    "words of a newer py-spy": (message("A new text"), ALIVE, DumpFailed, "A new text"),
}  # fmt: skip


@pytest.fixture
def on_linux(monkeypatch):
    """The same machine for every test: Linux, and one piece of advice."""
    monkeypatch.setattr(kernel, "ON_LINUX", True)
    monkeypatch.setattr(advice, "for_permission", lambda pid: f"advice for {pid}")


def explained(
    monkeypatch: pytest.MonkeyPatch, stderr: str, state: ProcessState | None
) -> LeakscopeError:
    """What this text means, of a process in this state."""
    monkeypatch.setattr(kernel, "process_state", lambda pid: state)
    return explain(stderr, PID)


@pytest.mark.usefixtures("on_linux")
@pytest.mark.parametrize(("stderr", "state", "kind", "words"), CASES.values(), ids=CASES)
def test_meaning_of_a_failure(monkeypatch, stderr, state, kind, words):
    error = explained(monkeypatch, stderr, state)
    assert type(error) is kind
    assert words in str(error)


@pytest.mark.usefixtures("on_linux")
@pytest.mark.parametrize(("stderr", "state", "kind", "words"), CASES.values(), ids=CASES)
def test_a_failure_is_told_on_one_line_without_rust(monkeypatch, stderr, state, kind, words):
    error = explained(monkeypatch, with_backtrace(stderr), state)
    assert type(error) is kind
    assert words in str(error)
    assert "\n" not in str(error)
    assert "backtrace" not in str(error)
    assert "py_spy::" not in str(error)


@pytest.mark.usefixtures("on_linux")
def test_whoever_is_not_permitted_is_told_what_to_do(monkeypatch):
    assert explained(monkeypatch, DENIED, ALIVE).advice == "advice for 4711"


@pytest.mark.usefixtures("on_linux")
def test_whoever_looks_at_no_python_is_told_where_to_look(monkeypatch):
    assert "`leakscope ps`" in explained(monkeypatch, NO_VERSION, ALIVE).advice


@pytest.mark.usefixtures("on_linux")
def test_whoever_has_too_old_a_pyspy_is_told_to_get_a_newer_one(monkeypatch):
    stderr = message("Unsupported version of Python: 3.16.0")
    assert "--upgrade py-spy" in explained(monkeypatch, stderr, ALIVE).advice


@pytest.mark.usefixtures("on_linux")
def test_another_tracer_that_is_gone_again_may_pass(monkeypatch):
    """Of four py-spys at once one fails so; by the time that we look the others have let go."""
    stderr = message("Failed to suspend process", EPERM)
    assert type(explained(monkeypatch, stderr, ALIVE)) is DumpFailed


def test_without_proc_the_words_alone_decide(monkeypatch):
    monkeypatch.setattr(kernel, "ON_LINUX", False)
    monkeypatch.setattr(advice, "for_permission", lambda pid: "")
    assert type(explained(monkeypatch, DENIED, None)) is NotPermitted
    assert type(explained(monkeypatch, NO_VERSION, None)) is Unsupported
    assert type(explained(monkeypatch, message(BAD_ADDRESS), None)) is DumpFailed


BACKTRACE = """
Stack backtrace:
   0: <E as anyhow::context::ext::StdError>::ext_context
   1: py_spy::python_process_info::PythonProcessInfo::new
             at /build/py-spy/src/python_process_info.rs:42
  10: main
"""


def with_backtrace(stderr: str) -> str:
    """What py-spy says where RUST_BACKTRACE is set."""
    return f"{stderr}\n{BACKTRACE}"


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        (NO_VERSION, "Failed to find python version from target process"),
        (message("One", "Two"), "One: Two"),
        (message("One", "Two", "Three"), "One: Two: Three"),
        (DENIED, DENIED.strip()),
        ("", "it said nothing"),
        (" \n\n", "it said nothing"),
        ("Error: \n", "it said nothing"),
        (BACKTRACE, "it said nothing"),
        (with_backtrace(message("One", "Two", "Three")), "One: Two: Three"),
    ],
)
def test_what_pyspy_said_on_one_line(stderr, words):
    assert said(stderr) == words


def test_pyspy_is_told_to_say_no_more_than_needed(monkeypatch):
    unwanted = {"RUST_BACKTRACE", "RUST_LOG", "RUST_LIB_BACKTRACE"}
    for name in unwanted:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("LEAKSCOPE_TEST", "kept")
    environment = _environment()
    assert not unwanted & environment.keys()
    assert environment["LEAKSCOPE_TEST"] == "kept"


def test_pyspy_is_the_one_beside_this_python():
    assert Path(find_pyspy()).parent == Path(sys.executable).parent


def executable(path: Path) -> Path:
    """A file that can be run, though nobody does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    path.chmod(0o755)
    return path


def nowhere(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let neither folder of scripts hold a py-spy."""
    monkeypatch.setattr(sys, "executable", str(folder / "empty" / "python"))
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(folder / "scripts"))


class Installed:
    """A distribution whose only file is this one."""

    def __init__(self, path: Path) -> None:
        self.files = [self]
        self.name = path.name
        self._path = path

    def locate(self) -> Path:
        """Where it is."""
        return self._path


def test_pyspy_of_the_scripts_folder_is_found(monkeypatch, tmp_path):
    nowhere(monkeypatch, tmp_path)
    expected = executable(tmp_path / "scripts" / "py-spy")
    assert find_pyspy() == str(expected)


def test_pyspy_that_was_installed_elsewhere_is_found(monkeypatch, tmp_path):
    """As by `pip install --user` or `--prefix`."""
    nowhere(monkeypatch, tmp_path)
    expected = executable(tmp_path / "user" / "bin" / "py-spy")
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed(expected))
    assert find_pyspy() == str(expected)


def test_pyspy_on_path_is_not_taken(monkeypatch, tmp_path):
    """It may be of any version; what was installed with leakscope is known to fit."""
    nowhere(monkeypatch, tmp_path)
    stray = executable(tmp_path / "stray" / "py-spy")
    monkeypatch.setenv("PATH", str(stray.parent) + os.pathsep + os.environ["PATH"])
    monkeypatch.setattr(importlib.metadata, "distribution", _no_distribution)
    with pytest.raises(Unsupported, match="missing or not executable") as raised:
        find_pyspy()
    assert "install py-spy" in raised.value.advice


def _no_distribution(name: str) -> importlib.metadata.Distribution:
    raise importlib.metadata.PackageNotFoundError(name)


@pytest.mark.parametrize("blocking", [True, False])
def test_the_target_is_not_stopped_unless_asked(blocking):
    command = PySpy(PID, blocking=blocking)._command
    assert command[1:5] == ["dump", "--json", "--pid", str(PID)]
    assert ("--nonblocking" not in command) is blocking
