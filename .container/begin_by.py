"""Puts another `__main__.py` into a file that Python runs: begin_by.py FILE.pyz MAIN.py."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

MAIN = "__main__.py"


def begin_by(built: Path, beginning: bytes) -> None:
    """The rest stays as it is, byte for byte, and the same each time."""
    first_line, _, _ = built.read_bytes().partition(b"\n")
    with zipfile.ZipFile(built) as archive:
        members = [(member, archive.read(member)) for member in archive.infolist()]
    with built.open("wb") as file:
        file.write(first_line + b"\n")
        with zipfile.ZipFile(file, "w") as archive:
            for member, content in members:
                archive.writestr(member, beginning if member.filename == MAIN else content)


if __name__ == "__main__":
    begin_by(Path(sys.argv[1]), Path(sys.argv[2]).read_bytes())
