"""A machine whose kernel has Yama, for what the kernel of the tests' own machine may not have.

It is Debian's kernel under QEMU, as `make yama` brings them, with all its files in memory. QEMU
computes what the processor would do: slow, and the same wherever it runs, in a container too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.running import PROGRAMS

BROUGHT = Path(__file__).parent.parent.parent / ".yama"
HERE = Path(__file__).parent
ENDS_WITHIN_S = 600.0  # it takes a minute


def need() -> None:
    """Skip the test where there is no such machine."""
    if not (BROUGHT / "inside.cpio").exists():
        pytest.skip("no kernel with Yama here; on Debian `make yama` brings one")


def tries(one_file: Path, folder: Path) -> list[dict[str, Any]]:
    """What inside.py says of each thing that it tries in there, with leakscope.pyz."""
    files = folder / "files"
    files.mkdir(mode=0o755)
    for path in (HERE / "init", HERE / "inside.py", one_file):
        shutil.copy(path, files)
    shutil.copytree(PROGRAMS, files / "programs", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (files, *files.rglob("*")):
        path.chmod(0o755)  # for the user in there
    names = "".join(f"{path.relative_to(files)}\n" for path in sorted(files.rglob("*")))
    archive = folder / "all.cpio"
    added = subprocess.run(
        [BROUGHT / "busybox", "cpio", "-o", "-H", "newc"],
        cwd=files, input=names.encode(), capture_output=True, check=True,
    ).stdout  # fmt: skip
    # The kernel unpacks one after the other.
    archive.write_bytes((BROUGHT / "inside.cpio").read_bytes() + added)
    return [json.loads(line) for line in _booted(archive, folder / "kernel.log").splitlines()]


def _booted(archive: Path, log: Path) -> str:
    """What the machine writes to its second serial line until it is off."""
    machine = subprocess.run(
        [
            BROUGHT / "qemu", "-accel", "tcg", "-cpu", "max", "-m", "1024",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", BROUGHT / "vmlinuz", "-initrd", archive,
            "-append", "console=ttyS0 panic=-1",
            "-serial", f"file:{log}", "-serial", "stdio",
        ],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ENDS_WITHIN_S,
        check=False, preexec_fn=lambda: os.nice(5),
    )  # fmt: skip
    said = log.read_text(errors="replace")[-2000:] if log.exists() else ""
    assert machine.returncode == 0, f"{machine.stderr}{said}"
    assert "Power down" in said, said
    return machine.stdout
