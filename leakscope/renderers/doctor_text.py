"""A check-up as text: what it comes to, then a line for each check, and below it what to do."""

from __future__ import annotations

from collections.abc import Iterator

from leakscope.checkup import Checkup, Status
from leakscope.printable import printable

_STATUS_WIDTH = max(len(status.value) for status in Status)


def doctor_lines(checkup: Checkup) -> Iterator[str]:
    """The lines, each safe to print: `note     python  CPython 3.8.18: ...`."""
    yield printable(checkup.summary)
    width = max((len(check.name) for check in checkup.checks), default=0)
    for check in checkup.checks:
        found = printable(check.found)
        yield f"{check.status.value:<{_STATUS_WIDTH}}  {check.name:<{width}}  {found}"
        for line in check.advice.splitlines():
            yield f"{'':<{_STATUS_WIDTH}}  {'':<{width}}  -> {printable(line)}"
