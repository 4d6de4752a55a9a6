"""Writes what `make acceptance` counted into the README: `python -m tests.acceptance FILE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.machine import machine, write_block

BLOCK = "acceptance"


def text_of(figures: dict[str, Any], where: str) -> str:
    """The paragraph and the table."""
    survived, facts = figures["survived"], figures["facts"]
    lines = [f"Measured on {where} (`make acceptance`).", ""]
    lines += ["| what was done | times | survived |", "|---|---|---|"]
    lines += [f"| {what} | {times} | {good} |" for what, (good, times) in survived.items()]
    lines += ["", "| what was measured | figures |", "|---|---|"]
    for what, named in facts.items():
        told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in named.items())
        lines.append(f"| {what} | {told} |")
    return "\n".join(lines)


def main() -> None:
    """Read the figures of a run, and quote them."""
    figures = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if not write_block(BLOCK, text_of(figures, machine())):
        sys.exit(f"the README has no block <!-- {BLOCK} --> to write the figures into")


if __name__ == "__main__":
    main()
