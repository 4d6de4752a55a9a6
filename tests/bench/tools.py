"""The tools that are compared, each as a command that looks at a process until it is ended."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from leakscope.sources.pyspy import find_pyspy

ROOT = Path(__file__).parent.parent.parent
# Tools that leakscope does not need have a venv of their own.
OTHERS = ROOT / ".venv-bench" / "bin"

LEAKSCOPE = "leakscope"
EVERY_DUMP = "leakscope --every-dump"
NAIVE = "py-spy loop"
NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Tool:
    """A way to look at threads for as long as one likes."""

    name: str
    command: tuple[str, ...]  # the PID comes last; empty: nothing looks

    @property
    def is_leakscope(self) -> bool:
        """Whether it is leakscope, which starts slowly and is then cheap, unlike a loop."""
        return self.name.startswith(LEAKSCOPE)


def leakscope(*arguments: str) -> tuple[str, ...]:
    """A command line of leakscope, run as it was installed."""
    return (str(Path(sys.executable).parent / "leakscope"), *arguments)


def _loop(tool: str, path: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "tests.bench.loops", tool, path)


def tools() -> list[Tool]:
    """All that are installed, in the order in which they are run; the loop before and after."""
    helps = subprocess.run(leakscope("watch", "--help"), capture_output=True, text=True, check=True)
    naive = Tool(NAIVE, _loop("py-spy", find_pyspy()))
    found = [Tool(NOTHING, ()), naive, Tool(LEAKSCOPE, leakscope("watch"))]
    if "--every-dump" in helps.stdout:
        found.append(Tool(EVERY_DUMP, leakscope("watch", "--every-dump")))
    found += [Tool(NOTHING, ()), naive]
    for name in ("pystack", "austin"):
        path = shutil.which(name, path=str(OTHERS))
        if path:
            found.append(Tool(f"{name} loop", _loop(name, path)))
    return found
