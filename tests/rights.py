"""The rights that a container is given, and the command that gives the same to a process here."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import pytest


class Rights(NamedTuple):
    """What a container may do, as far as it matters for looking into another one."""

    user: int
    capabilities: frozenset[str]  # as Kubernetes and Docker call them: SYS_PTRACE
    may_gain: bool  # by programs that are setuid
    may_write: bool  # to its own files

    def launcher(self) -> tuple[str, ...]:
        """What stands before a command so that root starts it with these rights, as root.

        That of another user is not taken: Python and leakscope may lie where only root can look.
        """
        options = []
        if not self.user:  # else the process loses them all when it becomes that user
            kept = "".join(f",+{name.lower()}" for name in sorted(self.capabilities))
            options += ["--inh-caps=-all", f"--bounding-set=-all{kept}"]
        if not self.may_gain:
            options += ["--no-new-privs"]
        command = ("setpriv", *options) if options else ()
        return command if self.may_write else (*READ_ONLY, *command)


READ_ONLY = ("unshare", "--mount", "sh", "-c", 'mount -o remount,bind,ro / && exec "$@"', "sh")


def of_container(container: Mapping[str, Any], pod: Mapping[str, Any]) -> Rights:
    """Those of a container in a pod's description. Raises KeyError where it leaves one open."""
    said = {**pod.get("securityContext", {}), **container["securityContext"]}
    assert said["capabilities"]["drop"] == ["ALL"]
    assert not said.get("privileged")
    return Rights(
        said["runAsUser"],
        frozenset(said["capabilities"].get("add", ())),
        said["allowPrivilegeEscalation"],
        not said["readOnlyRootFilesystem"],
    )


def of_docker_run(arguments: Sequence[str]) -> Rights:
    """Those that `docker run` is asked for."""
    options = list(pairwise(arguments))
    assert ("--cap-drop", "ALL") in options
    (user,) = [value for name, value in options if name == "--user"]
    return Rights(
        int(user.partition(":")[0]),
        frozenset(value for name, value in options if name == "--cap-add"),
        ("--security-opt", "no-new-privileges") not in options,
        "--read-only" not in arguments,
    )


def need(*launcher: str) -> None:
    """Skip the test where such rights can't be given."""
    reason = _why_not(launcher)
    if reason:
        pytest.skip(reason)


@cache
def _why_not(launcher: tuple[str, ...]) -> str | None:
    if os.geteuid() != 0:
        return "needs root, to give up some of its rights"
    missing = [tool for tool in launcher if tool in ("setpriv", "unshare") and not _has(tool)]
    if missing:
        return f"needs {missing[0]}"
    tried = subprocess.run([*launcher, "true"], capture_output=True, check=False, text=True)
    if tried.returncode:
        return f"such rights can't be given here: {tried.stderr.strip()}"
    return None


def _has(tool: str) -> bool:
    return shutil.which(tool) is not None
