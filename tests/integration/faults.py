"""A py-spy that fails on command, for leakscope to cope with."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import leakscope
from leakscope.sources.pyspy import find_pyspy

# Python runs this before anything else when it stands on its path.
_PATCH = """
import leakscope.sources.pyspy as pyspy

pyspy.find_pyspy = lambda: {script!r}
pyspy.DUMP_TIMEOUT_S = {timeout_s}
"""

_SCRIPT = """#!/bin/sh
echo "$$ $*" >> {calls}
if {when}; then
{fault}
fi
exec {real} "$@"
"""


class FaultyPySpy:
    """Stands in for py-spy: counts the calls, fails while a condition holds, else is the real one.

    The fault and the condition are shell code; `$n` is the number of the call, from 1.
    """

    def __init__(
        self, folder: Path, fault: str, *, when: str | None = None, timeout_s: float = 20.0
    ) -> None:
        self._calls = folder / "calls"
        self._calls.touch()
        self._switch = folder / "faulty"
        script = folder / "py-spy"
        count = f"n=$(wc -l < {shlex.quote(str(self._calls))})\n"
        script.write_text(
            _SCRIPT.format(
                calls=shlex.quote(str(self._calls)),
                when=f"{count}{when}" if when else f"[ -e {shlex.quote(str(self._switch))} ]",
                fault=fault,
                real=shlex.quote(find_pyspy()),
            )
        )
        script.chmod(0o755)
        patch = _PATCH.format(script=str(script), timeout_s=timeout_s)
        (folder / "sitecustomize.py").write_text(patch)
        package = Path(leakscope.__file__).parent.parent
        path = [str(folder), str(package), os.environ.get("PYTHONPATH", "")]
        self.env = {"PYTHONPATH": os.pathsep.join(filter(None, path))}

    def fail(self) -> None:
        """From now on the calls fail, where no condition was given."""
        self._switch.touch()

    def work(self) -> None:
        """From now on they succeed."""
        self._switch.unlink()

    @property
    def calls(self) -> int:
        """How often it was called."""
        return len(self.pids)

    @property
    def pids(self) -> list[int]:
        """The process of each call."""
        return [int(line.split()[0]) for line in self._calls.read_text().splitlines()]


def complaint(*lines: str) -> str:
    """The fault of a py-spy that says these lines and exits with 1, as it does."""
    said = shlex.quote("\n".join(lines))
    return f"printf '%s\\n' {said} >&2\nexit 1"


# Said when a thread ends while py-spy reads it; the next try mostly succeeds.
PASSING = complaint(
    "Error: Failed to get stack traces",
    "Caused by:",
    "    0: Failed to copy PyThreadState",
    "    1: Bad address (os error 14)",
)
ALWAYS = "true"


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
