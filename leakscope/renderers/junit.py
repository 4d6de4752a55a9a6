"""The verdict as a JUnit test case, which CI systems show beside those of the tests.

There is no standard, only what Ant and Jenkins read: https://llg.cubic.org/docs/junit/.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

from leakscope.printable import printable
from leakscope.renderers.text import report_lines
from leakscope.renderers.wording import verdict_sentence
from leakscope.report import Overall, Report


def lines(report: Report, name: str, *, failed: bool) -> Iterator[str]:
    """A suite of one case: failed or not, and if not, skipped when too little was seen to say.

    `name` is of what was looked at.
    """
    kind = "failure" if failed else "skipped" if report.verdict is Overall.UNKNOWN else None
    suite, case = _suite(name, kind, report.observed_s)
    if kind:
        ElementTree.SubElement(case, kind, message=verdict_sentence(report))
    said = ElementTree.SubElement(case, "system-out")
    said.text = "\n".join(report_lines(report))
    yield from _written(suite)


def lines_of_error(name: str, why: str) -> Iterator[str]:
    """A suite of one case that could not be judged."""
    suite, case = _suite(name, "error", 0.0)
    message, *_ = told = [printable(line) for line in why.splitlines() or [""]]
    error = ElementTree.SubElement(case, "error", message=message)
    error.text = "\n".join(told)
    yield from _written(suite)


_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def _suite(
    name: str, kind: str | None, time_s: float
) -> tuple[ElementTree.Element, ElementTree.Element]:
    """A suite and its only case, which is of this kind; of none if it passed."""
    counts = {counter: str(int(kind == of)) for counter, of in _COUNTED.items()}
    about = {"name": "leakscope", "tests": "1", **counts, "time": f"{time_s:.3f}"}
    suite = ElementTree.Element("testsuite", about)
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname="leakscope",
        name=f"no thread leak in {printable(name)}",
        time=f"{time_s:.3f}",
    )
    return suite, case


def _written(suite: ElementTree.Element) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="utf-8"?>'
    ElementTree.indent(suite)
    yield ElementTree.tostring(suite, encoding="unicode")
