"""How to get rights, for where leakscope runs: what only other machines and users would show."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from leakscope.errors import NoSuchProcess, NotPermitted
from leakscope.sources import advice

PID = 4321
# A status line of /proc with the capability, and one without.
ALL_RIGHTS, NO_RIGHTS = "CapEff:\t000001ffffffffff\n", "CapEff:\t00000000a80425fb\n"

Place = Callable[..., None]


@pytest.fixture
def place(monkeypatch) -> Place:
    """Be somewhere: as root or not, with the files that are said and no other."""

    def be(files: dict[str, str], *, root: bool = False, kubernetes: str = "") -> None:
        def read_text(path: Path, **_: str) -> str:
            if str(path) not in files:
                raise FileNotFoundError(2, "No such file or directory", str(path))
            return files[str(path)]

        monkeypatch.setattr(Path, "read_text", read_text)
        monkeypatch.setattr(Path, "exists", lambda path: str(path) in files)
        monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", kubernetes)
        monkeypatch.setattr(sys, "argv", ["/opt/bin/leakscope", "dump", str(PID)])
        monkeypatch.setattr("shutil.which", lambda name: name)

    return be


def test_a_user_becomes_root(place):
    place({})
    said = advice.for_permission(PID)
    assert said == f"Run it as root: sudo /opt/bin/leakscope dump {PID}"


def test_a_command_that_is_not_on_the_path_is_the_one_beside_python(place, monkeypatch):
    beside = str(Path(sys.executable).parent / "leakscope")
    place({beside: ""})
    monkeypatch.setattr(sys, "argv", ["-c", "ps"])
    assert advice.for_permission(PID) == f"Run it as root: sudo {beside} ps"
    place({})
    monkeypatch.setattr(sys, "argv", [])
    assert advice.for_permission(PID) == f"Run it as root: sudo {sys.executable} -m leakscope"


def test_the_one_file_is_given_to_the_same_python(place, monkeypatch):
    place({})
    monkeypatch.setattr(sys, "argv", ["/srv/leakscope.pyz", "ps"])
    assert (
        advice.for_permission(PID) == f"Run it as root: sudo {sys.executable} /srv/leakscope.pyz ps"
    )


@pytest.mark.parametrize("root", [False, True])
def test_yama_forbids_it_to_everyone(place, root):
    place({"/proc/sys/kernel/yama/ptrace_scope": "3\n", "/proc/self/status": ALL_RIGHTS}, root=root)
    said = advice.for_permission(PID)
    assert "until it is booted anew" in said
    assert "\n" not in said, "neither root nor a capability helps"


@pytest.mark.parametrize(
    ("scope", "owner", "words"),
    [
        ("0", 1000, None),
        ("1", 1000, "`leakscope run -- COMMAND`"),
        ("2", 1000, "Nobody else"),
        ("1", 1001, None),  # that of another user would be forbidden without Yama, too
        ("1", None, None),
    ],
)
def test_a_user_is_told_what_yama_forbids(place, monkeypatch, scope, owner, words):
    def stat(path: Path) -> SimpleNamespace:
        assert str(path) == f"/proc/{PID}"
        if owner is None:
            raise FileNotFoundError
        return SimpleNamespace(st_uid=owner)

    place({"/proc/sys/kernel/yama/ptrace_scope": scope})
    monkeypatch.setattr(Path, "stat", stat)
    first, *rest = advice.for_permission(PID).splitlines()
    assert first.startswith("Run it as root")
    assert len(rest) == (words is not None)
    for line in rest:
        assert words in line
        assert line.endswith(f"(kernel.yama.ptrace_scope is {scope}).")


@pytest.mark.parametrize("said", ["", "yes"])
def test_a_yama_that_is_not_understood_is_none(place, said):
    place({"/proc/sys/kernel/yama/ptrace_scope": said})
    assert advice.yama_scope() is None


@pytest.mark.parametrize(
    ("files", "kubernetes", "words"),
    [
        ({"/var/run/secrets/kubernetes.io": ""}, "", "In Kubernetes"),
        ({}, "10.0.0.1", "In Kubernetes"),
        ({"/.dockerenv": ""}, "", "In Docker"),
        ({"/proc/1/cgroup": "1:name=systemd:/docker/3f9c\n"}, "", "In Docker"),
        ({"/proc/1/cgroup": "0::/init.scope\n"}, "", "Root here lacks the capability"),
        ({}, "", "Root here lacks the capability"),
    ],
)
def test_root_without_the_right_is_told_how_to_get_it_there(place, files, kubernetes, words):
    place({"/proc/self/status": NO_RIGHTS, **files}, root=True, kubernetes=kubernetes)
    said = advice.for_permission(PID)
    assert said.startswith(words)
    assert "\n" not in said


def test_a_user_in_a_container_is_told_both(place):
    place({"/.dockerenv": ""})
    first, second = advice.for_permission(PID).splitlines()
    assert first.startswith("Run it as root")
    assert second.startswith("In Docker")


def test_root_with_the_right_is_forbidden_by_something_else(place):
    place({"/proc/self/status": ALL_RIGHTS, "/.dockerenv": ""}, root=True)
    assert advice.for_permission(PID).startswith("A security module")


@pytest.mark.parametrize(
    ("files", "has"),
    [
        ({"/proc/self/status": ALL_RIGHTS}, True),
        ({"/proc/self/status": NO_RIGHTS}, False),
        ({"/proc/self/status": "Name:\tpython\n"}, False),
        ({}, False),
    ],
)
def test_the_right_is_told_by_the_kernel(place, files, has):
    place(files)
    assert advice.has_ptrace_right() is has


@pytest.mark.parametrize(
    ("raised", "kind"), [(ProcessLookupError, NoSuchProcess), (PermissionError, NotPermitted)]
)
def test_a_process_that_proc_does_not_show(place, monkeypatch, raised, kind):
    def kill(pid: int, number: int) -> None:
        assert (pid, number) == (PID, 0)
        raise raised

    place({})
    monkeypatch.setattr(os, "kill", kill)
    assert type(advice.missing(PID)) is kind
