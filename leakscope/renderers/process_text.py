"""A list of processes as lines of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from leakscope.printable import clipped, printable
from leakscope.renderers.columns import table
from leakscope.renderers.wording import LONGEST_COMMAND
from leakscope.spans import duration

if TYPE_CHECKING:
    from leakscope.processes import ProcessFacts


def process_lines(processes: Iterable[ProcessFacts]) -> Iterator[str]:
    """The processes as a table, in the order that they come in."""
    headings = ("pid", "python", "threads", "age", "user", "command")
    return table([headings, *map(_process_row, processes)], numbers=(0, 2))


def _process_row(process: ProcessFacts) -> tuple[str, ...]:
    return (
        str(process.pid),
        printable(process.python or "?"),
        "?" if process.threads is None else str(process.threads),
        "?" if process.age_s is None else duration(process.age_s),
        printable(process.user or "?"),
        clipped(printable(" ".join(process.command)), LONGEST_COMMAND),
    )
