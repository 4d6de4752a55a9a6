"""The exit status that a report amounts to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leakscope.report import Report


def status_of(report: Report, *, exit_zero: bool, fail_on: tuple[str, ...]) -> int:
    """1 when a leak was found, or a verdict that was asked to count as one; else 0."""
    if exit_zero:
        return 0
    return int(report.verdict == "leaking" or report.verdict in fail_on)
