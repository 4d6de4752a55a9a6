"""Writes tests/FAULTS.md from the `fault` markers of the tests: `python -m tests.faults.table`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parent.parent
TABLE = TESTS / "FAULTS.md"

# The parts of the table, in their order; a marker names one of them.
PARTS = (
    "The target lives its life",
    "Threads and stacks",
    "Rights and places",
    "py-spy and leakscope",
    "Process trees",
    "Input and output",
    "Long runs",
)

HEAD = """\
# What can go wrong, and what leakscope does

Each row is a fault that a test makes happen: to a real process, unless the row says otherwise. The
rows come from the markers of the tests (`make readme` writes them), so that no row lacks its test.
A test marked slow runs in `make acceptance` or `make soak`; one marked as known to fail is said so.
"""


COLUMNS = ("| what happens | what leakscope does | test |", "|---|---|---|")


class Fault(NamedTuple):
    """One row."""

    part: str
    happens: str
    does: str
    test: str  # as pytest names it, from the root of the repository
    slow: bool
    fails: bool


def faults() -> Iterator[Fault]:
    """All that the tests name, file by file."""
    for file in sorted(TESTS.rglob("test_*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield from _faults_of(node, f"tests/{file.relative_to(TESTS).as_posix()}")


def _faults_of(test: ast.FunctionDef, file: str) -> Iterator[Fault]:
    marks = {ast.unparse(d.func if isinstance(d, ast.Call) else d) for d in test.decorator_list}
    for decorator in test.decorator_list:
        if not isinstance(decorator, ast.Call):
            continue
        if ast.unparse(decorator.func) == "pytest.mark.fault":
            part, happens, does = map(ast.literal_eval, decorator.args)
            slow, fails = "pytest.mark.slow" in marks, "pytest.mark.xfail" in marks
            yield Fault(part, happens, does, f"{file}::{test.name}", slow, fails)


def table() -> str:
    """The text of tests/FAULTS.md."""
    rows = list(faults())
    lines = [HEAD]
    for part in PARTS:
        lines += [
            f"## {part}",
            "",
            "| what happens | what leakscope does | test |",
            "|---|---|---|",
        ]
        lines += [_row(fault) for fault in rows if fault.part == part]
        lines.append("")
    return "\n".join(lines)


def _row(fault: Fault) -> str:
    file, _, name = fault.test.partition("::")
    does = f"{fault.does} *Known to fail.*" if fault.fails else fault.does
    cells = [fault.happens, does, f"`{file.removeprefix('tests/')}` `{name}`"]
    cells[2] += " (slow)" if fault.slow else ""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
