"""Files for other programs: alert rules, a dashboard, recipes for containers."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple


class Asset(NamedTuple):
    """A file, by its path below this folder."""

    path: str
    content: bytes


def assets() -> Iterator[Asset]:
    """All of them, in the order of their paths."""
    yield from sorted(_below(files(__name__), ""))


def _below(folder: Traversable, path: str) -> Iterator[Asset]:
    for entry in folder.iterdir():
        if entry.is_dir():
            if not entry.name.startswith("__"):  # what Python made of this module
                yield from _below(entry, f"{path}{entry.name}/")
        elif not entry.name.endswith(".py"):
            yield Asset(f"{path}{entry.name}", entry.read_bytes())
