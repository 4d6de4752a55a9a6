"""Runs inside the machine with Yama: has leakscope look under each scope.

Of each try it prints a line, an object of JSON: the scope, what was tried, the exit status, and
what leakscope said.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")
NOBODY = 65534
POOL = 3
SERVICE = ("python3", "/programs/leaky_service.py", "--pool", str(POOL), "--requests", "0")
SHELL = " ".join(SERVICE)
LEAKSCOPE = ("python3", "/leakscope.pyz")
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "SHIV_ROOT": "/opt/leakscope"}
WITHIN_S = 60.0  # a program goes on until leakscope has looked at it, or was refused
AGREEING = 3

# Yama's rule is about who descends from whom. Here leakscope is the service's parent, but did not
# start it as `leakscope run` does; py-spy, which looks, is the parent's child and no ancestor.
AS_PARENT = f"""
said=$(mktemp)
sleep 30 2>/dev/null | {SHELL} >$said 2>/dev/null &
until grep -q ready $said; do sleep 0.2; done
exec {" ".join(LEAKSCOPE)} dump $! --json
"""


def main() -> None:
    """Try it all, from the most that is allowed to the least: scope 3 can't be left again."""
    looked(0, 0, "unpacked", "--version")  # by root, as an image has it
    with started(SERVICE) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == b"ready\n"
        pid = str(service.pid)
        for scope in range(4):
            SCOPE.write_text(str(scope))
            if SCOPE.read_text() != f"{scope}\n":
                raise AssertionError(f"the kernel did not take scope {scope}")
            looked(scope, NOBODY, "dump", "dump", pid, "--json")
            looked(scope, 0, "dump by root", "dump", pid, "--json")
            looked(scope, NOBODY, "doctor", "doctor", pid, "--json")
            ran(scope, "run", SERVICE, may_see=scope <= 1)
            if scope <= 1:
                looked(scope, NOBODY, "watch", "watch", pid, "--count", "2")
                ran(scope, "run by exec", ("sh", "-c", f"exec {SHELL}"), may_see=True)
                ran(scope, "run below", ("sh", "-c", f"{SHELL}; true"), may_see=scope == 0)
                told(scope, "dump by a parent", done(started(("sh", "-c", AS_PARENT))))
        done(service)


def looked(scope: int, user: int, name: str, *words: str) -> None:
    """One that looks at what is there already."""
    told(scope, name, done(started((*LEAKSCOPE, *words), user)))


def ran(scope: int, name: str, command: Sequence[str], *, may_see: bool) -> None:
    """One of a program that leakscope starts, which ends when its input does."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    report, errors = folder / "report", folder / "errors"
    options = ("run", "-v", "-n", "200ms", "--every-dump", "--json", "-o", str(report), "--")
    with (
        errors.open("wb") as file,
        started((*LEAKSCOPE, *options, *command), errors=file) as process,
    ):
        until(lambda: has_seen_the_pool(report) if may_see else "Permission" in errors.read_text())
        ended = {**done(process), "stderr": errors.read_text()}
    told(scope, name, ended, report.read_text() if report.exists() else None)


def until(is_so: Callable[[], bool]) -> None:
    """Wait for it; should it not come to that in time, what is told shows it."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline and not is_so():
        time.sleep(0.2)


def has_seen_the_pool(report: Path) -> bool:
    """Whether the latest samples agree on a group of that many threads."""
    written = report.read_text().splitlines(keepends=True) if report.exists() else []
    documents = [json.loads(line) for line in written if line.endswith("\n")]
    groups = [one["groups"] for one in documents if one["type"] == "sample"][-AGREEING:]
    return (
        len(groups) == AGREEING
        and POOL in groups[0].values()
        and all(one == groups[0] for one in groups)
    )


def started(
    command: Sequence[str], user: int = NOBODY, errors: BinaryIO | int = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    """A program of a user's, in an environment with nothing in it."""
    return subprocess.Popen(
        command, user=user, group=user, extra_groups=[], env=ENVIRONMENT, cwd="/tmp",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
    )  # fmt: skip


def done(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """How it ends when its input does."""
    out, err = process.communicate()
    return {"status": process.returncode, "stdout": out.decode(), "stderr": (err or b"").decode()}


def told(scope: int, name: str, ended: dict[str, Any], report: str | None = None) -> None:
    """Print the line."""
    print(json.dumps({"scope": scope, "tried": name, **ended, "report": report}), flush=True)


if __name__ == "__main__":
    main()
