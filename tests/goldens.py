"""Expected texts that are kept as files: LEAKSCOPE_WRITE_GOLDENS=1 writes them anew, to be read."""

from __future__ import annotations

import os
from pathlib import Path

DATA = Path(__file__).parent / "data"


def assert_golden(name: str, lines: list[str]) -> None:
    """The lines are those of the file, blanks at their ends apart."""
    path = DATA / name
    text = "".join(f"{line.rstrip()}\n" for line in lines)
    if os.environ.get("LEAKSCOPE_WRITE_GOLDENS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"see tests/goldens.py, if {name} is old"
