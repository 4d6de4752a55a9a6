"""What to do when a process may not be looked into, for where leakscope runs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from leakscope.errors import LeakscopeError, NoSuchProcess, NotPermitted

_CAP_SYS_PTRACE = 19


def for_permission(pid: int) -> str:
    """How to get the right to look into a process, a line for each thing to be said."""
    yama = yama_scope()
    if yama == 3:
        return (
            "This machine forbids it to everyone until it is booted anew "
            "(kernel.yama.ptrace_scope is 3)."
        )
    where = _in_container()
    if not is_root():
        if yama in _YAMA and _is_own(pid):
            where.insert(0, _YAMA[yama])
        where.insert(
            0, f"Run it as root: sudo {_this_command()} {shlex.join(sys.argv[1:])}".rstrip()
        )
    elif has_ptrace_right():
        # It has what a container could be given, so that its advice would lead astray.
        return "A security module (SELinux, AppArmor, Landlock, seccomp) forbids it, even to root."
    elif not where:
        where.append("Root here lacks the capability SYS_PTRACE: run it where root has it.")
    return "\n".join(where)


# What Yama adds to the kernel's own rule, that a user may look into the processes of that user.
_YAMA = {
    1: "Without root it may look into a program that it starts itself, `leakscope run -- COMMAND`, "
    "and no further (kernel.yama.ptrace_scope is 1).",
    2: "Nobody else may look into any process here (kernel.yama.ptrace_scope is 2).",
}


def _is_own(pid: int) -> bool:
    """Whether a process is this user's, so that no other rule forbids it."""
    try:
        return Path(f"/proc/{pid}").stat().st_uid == os.geteuid()
    except OSError:
        return False


def of_descendants(pid: int) -> list[str]:
    """Why what a program starts cannot be looked at, though leakscope started that program."""
    if yama_scope() != 1 or has_ptrace_right():
        return []
    return [
        f"what process {pid} has started: this machine lets leakscope look into the program that "
        "it started itself, and no further (kernel.yama.ptrace_scope is 1); root may look into all"
    ]


def missing(pid: int) -> LeakscopeError:
    """The error that a process amounts to which /proc does not show."""
    try:
        os.kill(pid, 0)  # sends nothing
    except ProcessLookupError:
        pass
    except OSError:
        # It is there and another user's; /proc mounted with hidepid does not even say so much.
        return NotPermitted(
            f"not permitted to look into process {pid}: /proc hides it from this user",
            for_permission(pid),
        )
    return NoSuchProcess(f"there is no process {pid}")


def is_root() -> bool:
    """Whether leakscope runs as root."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _this_command() -> str:
    """leakscope's full path: sudo's own PATH does not reach into a virtual environment."""
    if sys.argv and Path(sys.argv[0]).suffix == ".pyz":
        # It has all in it, and may not be executable.
        return shlex.join([sys.executable, str(Path(sys.argv[0]).absolute())])
    found = shutil.which(sys.argv[0]) if sys.argv else None
    if found and Path(found).name.startswith("leakscope"):
        return str(Path(found).absolute())
    beside = Path(sys.executable).parent / "leakscope"
    return str(beside) if beside.exists() else f"{sys.executable} -m leakscope"


def _in_container() -> list[str]:
    match container():
        case "Kubernetes":
            return [
                "In Kubernetes: attach a container that has the capability SYS_PTRACE, such as "
                "`kubectl debug -it POD --target=CONTAINER --profile=general "
                "--image=python:3.13-slim`."
            ]
        case "Docker":
            return [
                "In Docker: start the container with `--cap-add SYS_PTRACE`, or look from the host."
            ]
    return []


def container() -> str | None:
    """What kind of container leakscope runs in, as far as it shows; None where none does."""
    if os.environ.get("KUBERNETES_SERVICE_HOST") or Path("/var/run/secrets/kubernetes.io").exists():
        return "Kubernetes"
    try:
        groups = Path("/proc/1/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        groups = ""
    if Path("/.dockerenv").exists() or re.search(r"docker|containerd|libpod", groups):
        return "Docker"
    return None


def yama_scope() -> int | None:
    """What the security module Yama lets users trace, 0 to 3; None where it is not there."""
    try:
        return int(Path("/proc/sys/kernel/yama/ptrace_scope").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def has_ptrace_right() -> bool:
    """Whether leakscope has the capability SYS_PTRACE."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    found = re.search(r"^CapEff:\s+([0-9a-f]+)", status, re.MULTILINE)
    return bool(found) and bool(int(found[1], 16) >> _CAP_SYS_PTRACE & 1) if found else False
