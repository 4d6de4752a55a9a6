"""`doctor` against real processes in every state: it says what it sees, and never fails itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leakscope.doctor import checkup
from leakscope.sources import kernel
from leakscope.sources.examining import examine
from tests.documents import Document, checked
from tests.integration.faults import ALWAYS, PASSING, FaultyPySpy, is_running
from tests.running import leakscope_cli, running
from tests.unprivileged import as_nobody, shared_folder

pytestmark = pytest.mark.attach

POOL = 5
SERVICE = ("leaky_service.py", "--pool", str(POOL), "--requests", "0")
WAIT_S = 30.0


@pytest.fixture(scope="module")
def service():
    with running(*SERVICE) as target:
        yield target


@pytest.fixture
def folder_for_all() -> Iterator[Path]:
    with shared_folder() as folder:
        yield folder


def examined(pid: int, status: int = 0, **options) -> Document:
    """What doctor says of a process; it ends with this status and says nothing else."""
    run = leakscope_cli("doctor", pid, "--json", **options)
    assert (run.returncode, run.stderr) == (status, ""), run.stderr
    document = checked(run.stdout)
    assert (document["type"], document["exit_status"]) == ("doctor", status)
    return document


def check(document: Document, name: str) -> Document:
    found: list[Document] = [check for check in document["checks"] if check["name"] == name]
    assert len(found) == 1
    return found[0]


def statuses(document: Document) -> dict[str, str]:
    return {check["name"]: check["status"] for check in document["checks"]}


@contextlib.contextmanager
def python_running(code: str, *, python: str | Path = sys.executable) -> Iterator[int]:
    """The PID of a Python that has run this code, and then waits."""
    with subprocess.Popen(
        [str(python), "-c", f"{code}\nprint(flush=True)\ninput()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield process.pid
        finally:
            os.kill(process.pid, signal.SIGCONT)
            process.kill()


def until(holds) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- a process that can be looked at --------------------------------------------------------------


@pytest.mark.all_pythons("3.8", "3.11", "3.15")
def test_a_process_that_can_be_looked_at(python):
    with running(*SERVICE, python=python) as target:
        document = examined(target.pid)
    release = document["target"]["python"]
    old = release.startswith("3.8.")
    assert document["target"]["threads"] == document["target"]["os_threads"] == POOL + 1
    assert check(document, "python")["found"].startswith(f"CPython {release}")
    assert check(document, "dump")["found"].startswith(f"{POOL + 1} threads in ")
    assert check(document, "native threads")["found"].startswith("none")
    assert 0 < document["dump_s"] < 20
    assert document["blocking_pause_s"] == (0.002 if old else 0.001)
    # It has only just begun, and other than that only an old Python is to be noted.
    noted = {name for name, status in statuses(document).items() if status != "ok"}
    assert noted - {"state"} <= ({"python"} if old else set())


def test_text_is_for_people(service):
    run = leakscope_cli("doctor", service.pid)
    assert (run.returncode, run.stderr) == (0, "")
    first, *others = run.stdout.splitlines()
    assert first.startswith(f"process {service.pid} can be looked at: ")
    assert all(line.startswith(("ok  ", "note  ", "problem  ", "       ")) for line in others)
    assert "\x1b" not in run.stdout


def test_colour_only_where_it_is_wanted():
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        run = leakscope_cli("doctor", sleeper.pid, "--color", "always")
        sleeper.kill()
    assert run.returncode == 5
    assert "\x1b[1;31mproblem" in run.stdout


def test_hostile_text_is_shown_escaped():
    evil = "\x1b]0;owned\x07\x1b[31m\u202e"
    with python_running(f"# {evil}") as pid:
        run = leakscope_cli("doctor", pid)
        document = examined(pid)
    assert run.returncode == 0
    assert all(line.isprintable() for line in run.stdout.splitlines())
    assert r"\x1b]0;owned\x07" in run.stdout
    assert evil in document["target"]["command"][-1]  # JSON has it whole


def test_without_a_pid_it_takes_the_only_process_or_lists_them(service):
    with python_running("pass") as pid:
        run = leakscope_cli("doctor")
    assert run.returncode == 2
    assert str(pid) in run.stderr
    assert str(service.pid) in run.stderr


# --- threads that py-spy does not show ------------------------------------------------------------

NATIVE = """
import ctypes, os, time
libc = ctypes.CDLL(None)
thread = ctypes.c_ulong()
before = set(os.listdir("/proc/self/task"))
libc.pthread_create(ctypes.byref(thread), None, libc.pause, None)
while not set(os.listdir("/proc/self/task")) - before:
    time.sleep(0.01)
(tid,) = set(os.listdir("/proc/self/task")) - before
open("/proc/self/task/%s/comm" % tid, "w").write("\\x1b[31mevil")
"""


def test_native_threads_are_counted_and_named():
    with python_running(NATIVE) as pid:
        document = examined(pid)
        text = leakscope_cli("doctor", pid).stdout
    found = check(document, "native threads")
    assert found["status"] == "note"
    assert "py-spy shows 1 of 2 threads" in found["found"]
    assert "\x1b[31mevil" in found["found"]
    assert "/proc does not tell" in found["found"]
    assert r"\x1b[31mevil" in text


SUB_INTERPRETER = """
import os, threading, time
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
read, write = os.pipe()
code = "import os, time; os.write(%d, b'x'); time.sleep(600)" % write
start = lambda: interpreters.run_string(interpreters.create(), code)
for target in (lambda: time.sleep(600),) * 3 + (start,):
    threading.Thread(target=target, daemon=True).start()
os.read(read, 1)
"""


@pytest.mark.all_pythons("3.12", "3.13")
def test_sub_interpreters_are_hinted_at(python):
    with python_running(SUB_INTERPRETER, python=python) as pid:
        document = examined(pid)
    found = check(document, "native threads")
    assert "py-spy shows 1 of 5 threads" in found["found"]
    # The one that it shows is in the sub-interpreter, and the main thread is not.
    assert found["status"] == "problem"
    assert "not even its main thread" in found["found"]
    assert "sub-interpreters" in found["found"]


# --- states ---------------------------------------------------------------------------------------


def test_no_such_process():
    with subprocess.Popen(["true"]) as ended:
        pass
    document = examined(ended.pid, 3)
    assert statuses(document) == {"process": "problem"}
    assert document["target"]["command"] is None


def test_a_zombie():
    with subprocess.Popen(["true"]) as zombie:
        until(lambda: not is_running(zombie.pid))
        document = examined(zombie.pid, 3)
    assert "zombie" in check(document, "process")["found"]


def test_not_a_python_process():
    with subprocess.Popen(["sleep", "600"]) as sleeper:
        document = examined(sleeper.pid, 5)
        sleeper.kill()
    assert {name for name, status in statuses(document).items() if status == "problem"} == {
        "python",
        "dump",
    }


def test_a_thread_of_the_kernel():
    try:
        flags = int(Path("/proc/2/stat").read_text().rpartition(")")[2].split()[6])
    except OSError:
        pytest.skip("no process 2 in this PID namespace")
    if not flags & 0x00200000:
        pytest.skip("process 2 is no thread of the kernel in this PID namespace")
    assert "thread of the kernel" in check(examined(2, 5), "process")["found"]


def test_a_stopped_process_can_be_looked_at_and_stays_stopped():
    with python_running("pass") as pid:
        os.kill(pid, signal.SIGSTOP)
        until(lambda: state_of(pid) == "T")
        document = examined(pid)
        assert state_of(pid) == "T"
    found = check(document, "state")
    assert (found["status"], found["found"].partition(" ")[0]) == ("note", "stopped")
    assert found["advice"] == [f"Look without --blocking, or let it go on: kill -CONT {pid}"]
    assert check(document, "blocking")["status"] == "note"


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


# Traces a process until its stdin ends.
_TRACER = """
import ctypes, os, sys
PTRACE_SEIZE = 0x4206
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(PTRACE_SEIZE, int(sys.argv[1]), None, None) < 0:
    sys.exit(os.strerror(ctypes.get_errno()))
print("traced", flush=True)
sys.stdin.read()
"""


def test_a_process_that_is_traced_by_another():
    with (
        python_running("pass") as pid,
        subprocess.Popen(
            [sys.executable, "-c", _TRACER, str(pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as tracer,
    ):
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == b"traced\n"
        document = examined(pid)
        tracer.kill()
    found = check(document, "state")
    assert found["status"] == "note"
    assert f"traced by process {tracer.pid} (" in found["found"]
    assert "would fail" in check(document, "blocking")["found"]


def test_a_process_that_has_just_begun():
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as begun:
        run = leakscope_cli("doctor", begun.pid, "--json")
        begun.kill()
    document = checked(run.stdout)
    assert run.stderr == ""
    assert check(document, "state")["status"] == "note"
    assert "ago: it may still be importing" in check(document, "state")["found"]


def test_an_id_of_a_thread_is_said_to_be_one(service):
    tid = max(map(int, os.listdir(f"/proc/{service.pid}/task")))
    found = check(examined(tid), "process")
    assert found["found"] == f"{tid} is a thread of process {service.pid}"
    assert found["advice"] == [f"Look at {service.pid}."]


@pytest.mark.slow
def test_more_threads_than_py_spy_reads():
    start = """
import threading
threading.stack_size(65536)
forever = threading.Event()
for _ in range(4097):
    threading.Thread(target=forever.wait, daemon=True).start()
"""
    with python_running(start) as pid:
        document = examined(pid, 5)
    found = check(document, "threads")
    assert (found["status"], document["target"]["os_threads"]) == ("problem", 4098)
    assert "reads no stack" in found["found"]
    assert check(document, "dump")["advice"]
    assert check(document, "blocking")["status"] == "note"


# --- namespaces -----------------------------------------------------------------------------------


@contextlib.contextmanager
def in_a_pid_namespace() -> Iterator[int]:
    """A Python in namespaces of its own: its PID out here."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    code = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()"
    command = ["unshare", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child"]
    with subprocess.Popen(
        [*command, sys.executable, "-c", f"{code}\nprint(flush=True)"], stdout=subprocess.PIPE
    ) as outer:
        try:
            assert outer.stdout is not None
            if not outer.stdout.readline():
                pytest.skip("no new namespaces can be made here")
            inside = f"/proc/{outer.pid}/task/{outer.pid}/children"
            yield int(Path(inside).read_text())
        finally:
            outer.kill()


def test_a_process_in_namespaces_of_its_own():
    with in_a_pid_namespace() as pid:
        document = examined(pid)
    found = check(document, "namespaces")
    assert found["status"] == "note"
    assert "a PID and mount namespace of its own" in found["found"]
    assert "it is process 1 in there" in found["found"]
    # Its threads' ids are those inside, and are not taken for others out here.
    assert check(document, "native threads")["found"].startswith("none")
    assert document["target"]["os_threads"] == 2


# --- rights ---------------------------------------------------------------------------------------


def test_a_process_of_another_user(service, folder_for_all):
    run = as_nobody(folder_for_all, "doctor", str(service.pid), "--json")
    assert (run.returncode, run.stderr) == (4, "")
    document = checked(run.stdout)
    rights = check(document, "rights")
    assert rights["status"] == check(document, "dump")["status"] == "problem"
    assert any(f"doctor {service.pid}" in line and "sudo /" in line for line in rights["advice"])
    for name in ("namespaces", "python", "native threads"):
        assert check(document, name)["found"].startswith("unknown, because ")
    for name in ("syscall", "wchan"):
        assert check(document, name)["status"] == "note"
    assert check(document, "stat")["status"] == "ok"
    assert document["target"]["os_threads"] == POOL + 1


def test_a_process_that_proc_hides(service, folder_for_all):
    mounted = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'
    hidden = ("unshare", "--mount", "sh", "-c", mounted, "sh")
    if shutil.which("unshare") is None or subprocess.run([*hidden, "true"]).returncode:
        pytest.skip("no /proc with hidepid can be mounted here")
    run = as_nobody(folder_for_all, "doctor", str(service.pid), "--json", launcher=hidden)
    assert (run.returncode, run.stderr) == (4, "")
    found = check(checked(run.stdout), "process")
    assert "hidepid" in found["found"]
    assert found["advice"] == ["Run leakscope as root."]


def test_root_without_the_right_to_trace(service):
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root, and setpriv to give up a right")
    run = subprocess.run(
        ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", sys.executable,
         "-m", "leakscope", "doctor", str(service.pid), "--json"],
        capture_output=True, check=False, stdin=subprocess.DEVNULL, text=True, timeout=60,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (4, "")
    rights = check(checked(run.stdout), "rights")
    assert "without the capability SYS_PTRACE" in rights["found"]
    assert any("SYS_PTRACE" in line for line in rights["advice"])


# --- py-spy fails ---------------------------------------------------------------------------------


def test_a_dump_that_fails_once_is_tried_again(service, tmp_path):
    faulty = FaultyPySpy(tmp_path, PASSING, when='[ "$n" -le 2 ]')
    found = check(examined(service.pid, env=faulty.env), "dump")
    assert found["status"] == "ok"
    assert found["found"].endswith("at try 3: threads came and went")


def test_a_dump_that_always_fails(service, tmp_path):
    faulty = FaultyPySpy(tmp_path, PASSING, when=ALWAYS)
    document = examined(service.pid, 5, env=faulty.env)
    found = check(document, "dump")
    assert found["status"] == "problem"
    assert "Bad address" in found["found"]
    assert found["found"].endswith("(tried 5 times)")
    assert found["advice"]
    assert faulty.calls == 5
    assert document["dump_s"] is None


def test_a_dump_that_hangs_is_not_tried_again(service, tmp_path):
    faulty = FaultyPySpy(tmp_path, "exec sleep 600", when=ALWAYS, timeout_s=0.5)
    found = check(examined(service.pid, 5, env=faulty.env), "dump")
    assert "did not answer" in found["found"]
    assert faulty.calls == 1
    assert not is_running(*faulty.pids)


def test_no_py_spy(service, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, importlib.metadata\nos.access = lambda *args, **options: False\n"
    )
    document = examined(service.pid, 5, env={"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.getcwd()}"})
    found = check(document, "py-spy")
    assert (found["status"], check(document, "dump")["status"]) == ("problem", "note")
    assert "is missing or not executable" in found["found"]
    assert check(document, "threads")["status"] == "ok"


# --- in this process, to fail it where no process would -------------------------------------------


def test_off_linux_the_rest_is_told(service, monkeypatch):
    monkeypatch.setattr(kernel, "ON_LINUX", False)
    found = checkup(examine(service.pid))
    told = {check.name: check.found for check in found.checks}
    assert found.exit_status == 0
    assert told["dump"].startswith(f"{POOL + 1} threads in ")
    for name in ("state", "owner", "namespaces", "python", "kernel facts", "limits"):
        assert told[name] == "unknown, because it is told by Linux only"


@pytest.mark.parametrize("after_ms", range(0, 50, 4))
def test_a_process_that_ends_while_it_is_looked_at(after_ms):
    with subprocess.Popen(["sleep", "600"]) as other:  # what py-spy refuses may have ended too
        killer = threading.Timer(after_ms / 1000, other.kill)
        killer.start()
        assert checkup(examine(other.pid)).exit_status in (3, 5)
    with python_running("pass") as pid:
        killer = threading.Timer(after_ms / 1000, os.kill, (pid, signal.SIGKILL))
        killer.start()
        found = checkup(examine(pid))
        killer.join()
    assert found.exit_status in (0, 3, 5)
    assert found.checks[0].name == "process"
