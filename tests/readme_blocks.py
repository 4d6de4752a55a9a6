"""The help texts in the README: `python -m tests.readme_blocks` writes them anew.

Each is a fenced console block whose first line is the command, such as `$ leakscope ps --help`.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.running import leakscope_cli

README = Path(__file__).parent.parent / "README.md"
HELP_BLOCK = re.compile(
    r"^```console\n\$ leakscope (?P<args>[^\n]*--help)\n(?P<text>.*?)^```$", re.M | re.S
)


def help_of(args: str) -> str:
    """What the command line says now, 100 columns wide."""
    done = leakscope_cli(*shlex.split(args), env={"COLUMNS": "100"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def help_blocks(readme: str) -> dict[str, str]:
    """The help texts of the README, by their arguments."""
    return {block["args"]: block["text"] for block in HELP_BLOCK.finditer(readme)}


def renewed(readme: str) -> str:
    """The README with its help texts as they are now."""
    return HELP_BLOCK.sub(
        lambda block: f"```console\n$ leakscope {block['args']}\n{help_of(block['args'])}```",
        readme,
    )


if __name__ == "__main__":
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
