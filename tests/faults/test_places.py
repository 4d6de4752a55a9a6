"""Where the target lives, and who may look at it: namespaces, chroots, other users, hidepid."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import Document, checked, checked_lines, group_at
from tests.faults.processes import children
from tests.pythons import find_pythons
from tests.running import PROGRAMS, leakscope_cli, running, watching
from tests.unprivileged import NOBODY, anyones_python, as_nobody

pytestmark = [
    pytest.mark.attach,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make such places"),
]

WORKERS = 5
CONTAINER = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")


@pytest.fixture(autouse=True, scope="module")
def _unshare_works() -> None:
    tried = subprocess.run([*CONTAINER, "true"], capture_output=True, check=False, text=True)
    if tried.returncode:
        pytest.skip(f"no namespaces can be made here: {tried.stderr.strip()}")


def watched(pid: int, *options: str) -> Document:
    run = leakscope_cli("watch", pid, "--json", "--count", "3", "-n", "200ms", *options)
    assert (run.returncode, run.stderr) == (0, "")
    return checked_lines(run.stdout)[-1]


def tids_of(report: Document) -> set[int]:
    return {thread["tid"] for group in report["groups"] for thread in group["threads"]}


def tasks_of(pid: int) -> set[int]:
    return set(map(int, os.listdir(f"/proc/{pid}/task")))


# --- containers -----------------------------------------------------------------------------------


@pytest.mark.fault(
    "Rights and places",
    "it lives in mount and PID namespaces of its own, and leakscope does not: py-spy gives ids "
    "that are valid inside only, and calls every thread active",
    "The ids are mapped to those outside; states come from the kernel.",
)
@pytest.mark.all_pythons("3.11", "3.12", "3.13", "3.14", "3.15")
def test_namespaces_of_its_own(python):
    with running("misfortunes.py", python=python, launcher=CONTAINER) as launcher:
        (pid,) = children(launcher.pid)
        report = watched(pid)
        tasks = tasks_of(pid)
    group = group_at(report, "wait_for_ever")
    assert (group["count"], group["blocked"]) == (WORKERS, WORKERS)
    assert tids_of(report) == tasks


@pytest.mark.fault(
    "Rights and places",
    "the same with Python 3.8 to 3.10, where py-spy gives no ids without blocking",
    "The order of births tells the ids; with `--blocking` py-spy gives none either.",
)
@pytest.mark.all_pythons("3.8", "3.9", "3.10")
@pytest.mark.parametrize("options", [(), ("--blocking", "-q")], ids=["", "blocking"])
def test_namespaces_of_a_python_without_ids(python, options):
    with running("misfortunes.py", python=python, launcher=CONTAINER) as launcher:
        (pid,) = children(launcher.pid)
        report = watched(pid, *options)
        tasks = tasks_of(pid)
    assert group_at(report, "wait_for_ever")["blocked"] == WORKERS
    assert tids_of(report) == tasks


@pytest.fixture(scope="module")
def root_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole small system with Python 3.14 in it, to change the root to."""
    python = find_pythons().get("3.14")
    if python is None or python.parent.parent.name != "usr":
        pytest.skip("no Python 3.14 with a root folder of its own: see `make pythons`")
    system = python.resolve().parent.parent.parent
    copy = tmp_path_factory.mktemp("chroot") / "root"
    shutil.copytree(system, copy, symlinks=True)
    # The interpreter names its loader by the path that it was made for.
    inside = copy / system.relative_to("/")
    inside.parent.mkdir(parents=True, exist_ok=True)
    inside.symlink_to("/")
    folder = copy / PROGRAMS.relative_to("/")
    if not folder.exists():
        shutil.copytree(PROGRAMS, folder)
    return copy


@pytest.mark.fault(
    "Rights and places",
    "it lives in a chroot, with and without namespaces of its own",
    "It is looked at as any other.",
)
@pytest.mark.parametrize("namespaces", [(), ("unshare", "--mount")], ids=["", "mount"])
def test_a_chroot(root_folder, namespaces):
    launcher = (*namespaces, "chroot", root_folder)
    with running("misfortunes.py", python="/usr/bin/python3.14", launcher=launcher) as target:
        report = watched(target.pid)
        tasks = tasks_of(target.pid)
    assert group_at(report, "wait_for_ever")["blocked"] == WORKERS
    assert tids_of(report) == tasks


@pytest.mark.fault(
    "Rights and places",
    "it lives in a chroot, and its Python is in a shared library, which py-spy then does not find",
    "Status 5: says so, and that leakscope inside of that chroot can look at it.",
)
def test_a_chroot_with_a_shared_libpython(tmp_path):
    python = with_shared_library()
    mounts = "for folder in / /root /tmp /proc; do mount --bind $folder $0$folder; done; "
    launcher = ("unshare", "--mount", "sh", "-c", mounts + 'exec chroot "$0" "$@"', str(tmp_path))
    with running("misfortunes.py", python=python, launcher=launcher) as target:
        run = leakscope_cli("dump", target.pid)
        assert target.tell("count") == "threads 6"
    assert run.returncode == 5
    assert f"lives in a chroot, {tmp_path}" in run.stderr


def with_shared_library() -> Path:
    """An interpreter that is a small program and a libpython."""
    for python in find_pythons().values():
        code = "import sysconfig; print(sysconfig.get_config_var('Py_ENABLE_SHARED'))"
        said = subprocess.run([python, "-c", code], capture_output=True, check=True, text=True)
        if said.stdout.strip() == "1":
            return python
    pytest.skip("no Python with a shared library here")


# --- users ----------------------------------------------------------------------------------------


@pytest.fixture
def of_nobody(open_folder: Path) -> Iterator[int]:
    """A target that belongs to a user without rights."""
    for name in ("misfortunes.py", "command_loop.py"):
        shutil.copy(PROGRAMS / name, open_folder)
    become = ("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
    program = str(open_folder / "misfortunes.py")
    with running(program, python=anyones_python(), launcher=become) as target:
        yield target.pid


@pytest.mark.fault(
    "Rights and places",
    "it belongs to another user, and leakscope runs as root",
    "It is looked at as any other.",
)
def test_root_looks_at_the_process_of_another_user(of_nobody):
    assert group_at(watched(of_nobody), "wait_for_ever")["blocked"] == WORKERS


@pytest.mark.fault(
    "Rights and places",
    "leakscope runs as a user without rights, and the target belongs to that user",
    "It is looked at as any other, where Yama does not forbid it.",
)
def test_a_user_looks_at_a_process_of_its_own(of_nobody, open_folder):
    run = as_nobody(open_folder, "dump", str(of_nobody), "--json")
    if "not permitted" in run.stderr and yama_forbids():
        pytest.skip("Yama lets nobody look at processes but their own children")
    assert run.returncode == 0, run.stderr
    assert group_at(checked(run.stdout), "wait_for_ever")["count"] == WORKERS


def yama_forbids() -> bool:
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    return scope.exists() and scope.read_text().strip() != "0"


def hiding(*command: str) -> tuple[str, ...]:
    """A command, run where /proc does not show the processes of others."""
    mount = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'
    return ("unshare", "--mount", "sh", "-c", mount, "sh", *command)


@pytest.mark.fault(
    "Rights and places",
    "/proc is mounted with hidepid=2, and leakscope runs as another user without rights",
    "Status 4: not that there is no such process, but that /proc hides it, and how to get rights.",
)
@pytest.mark.parametrize("command", ["dump", "watch"])
def test_proc_hides_the_processes_of_others(open_folder, command):
    with running("misfortunes.py") as target:
        run = as_nobody(open_folder, command, str(target.pid), launcher=hiding())
    assert (run.returncode, run.stdout) == (4, ""), run.stderr
    assert f"not permitted to look into process {target.pid}: /proc hides it" in run.stderr
    assert "sudo" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.fault(
    "Rights and places",
    "/proc is mounted with hidepid=2, and there is no such process",
    "Status 3: there is no such process.",
)
def test_proc_hides_and_there_is_no_such_process(open_folder):
    with subprocess.Popen(["true"]) as ended:
        pass
    run = as_nobody(open_folder, "dump", str(ended.pid), launcher=hiding())
    assert run.returncode == 3, run.stderr
    assert f"there is no process {ended.pid}" in run.stderr


@pytest.mark.fault(
    "Rights and places",
    "/proc is mounted with hidepid=2, and leakscope runs as root",
    "Root sees all: it is looked at as any other.",
)
def test_proc_hides_nothing_from_root():
    with running("misfortunes.py") as target:
        run = subprocess.run(
            [*hiding(), sys.executable, "-m", "leakscope", "dump", str(target.pid), "--json"],
            capture_output=True,
            check=False,
            text=True,
        )
    assert (run.returncode, run.stderr) == (0, "")
    assert checked(run.stdout)["targets"][0]["threads"] == WORKERS + 1


@pytest.mark.fault(
    "Rights and places",
    "its user changes during a watch: it began as root and gives up its rights",
    "Root goes on looking at it.",
)
def test_the_target_gives_up_its_rights():
    with running("misfortunes.py") as target:
        with watching(target.pid, "-n", "200ms") as watch:
            watch.until("sample", 2)
            target.tell(f"user {NOBODY}")
            watch.until("sample", 3)
            watch.process.terminate()
            assert watch.status() == 0
        tasks = tasks_of(target.pid)
    report = checked_lines("".join(watch.lines))[-1]
    assert (report["missed"], tids_of(report)) == (0, tasks)
