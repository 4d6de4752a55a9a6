"""Texts in columns, as wide as a terminal shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leakscope.printable import cell_width


def table(rows: Sequence[tuple[str, ...]], numbers: Sequence[int]) -> Iterator[str]:
    """Rows in columns; the numbers of the columns that hold numbers."""
    widths = [max(map(cell_width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, strict=True)
        aligned = [
            right(cell, width) if i in numbers else left(cell, width)
            for i, (cell, width) in enumerate(cells)
        ]
        yield "  ".join(aligned).rstrip()


def left(text: str, width: int) -> str:
    """The text at the left of a column."""
    return text + " " * (width - cell_width(text))


def right(text: str, width: int) -> str:
    """The text at the right of a column."""
    return " " * (width - cell_width(text)) + text
