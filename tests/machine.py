"""The machine that figures were measured on, and where the README quotes them."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def machine() -> str:
    """The day and the machine, in words."""
    day = datetime.datetime.now(datetime.UTC).date()
    python = platform.python_version()
    return (
        f"{day.day} {day:%B %Y}, {platform.system()} {platform.release().split('-')[0]} "
        f"on {platform.machine()} with {os.cpu_count()} cores, Python {python}"
    )


def write_block(name: str, text: str, readme: Path = README) -> bool:
    """Put a text into the README, between the marks of that name; False if there are none."""
    if not readme.exists():
        return False
    before, begin, rest = readme.read_text(encoding="utf-8").partition(f"<!-- {name} -->")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not end:
        return False
    readme.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
    return True
