"""The verdict as a JUnit test case, which CI systems show beside those of the tests.

There is no standard, only what Ant and Jenkins read: https://llg.cubic.org/docs/junit/.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

from leakscope.printable import printable
from leakscope.renderers.text import report_lines
from leakscope.renderers.wording import process_line, verdict_sentence
from leakscope.report import Overall, Report


def lines(report: Report, *, failed: bool) -> Iterator[str]:
    """A suite of one case: failed or not, and if not, skipped when too little was seen to say."""
    unknown = report.verdict is Overall.UNKNOWN and not failed
    suite = ElementTree.Element(
        "testsuite",
        name="leakscope",
        tests="1",
        failures=str(int(failed)),
        errors="0",
        skipped=str(int(unknown)),
        time=f"{report.observed_s:.3f}",
    )
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname="leakscope",
        name=f"no thread leak in {_processes(report)}",
        time=f"{report.observed_s:.3f}",
    )
    if failed or unknown:
        kind = "failure" if failed else "skipped"
        ElementTree.SubElement(case, kind, message=verdict_sentence(report))
    said = ElementTree.SubElement(case, "system-out")
    said.text = "\n".join(report_lines(report))
    yield '<?xml version="1.0" encoding="utf-8"?>'
    ElementTree.indent(suite)
    yield ElementTree.tostring(suite, encoding="unicode")


def _processes(report: Report) -> str:
    """The command, or how many there are: a name that stays the same from run to run."""
    if len(report.targets) != 1:
        return f"{len(report.targets)} processes"
    target = report.targets[0]
    return printable(" ".join(target.command)) or process_line(target, report)
