"""The exit status that a report amounts to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leakscope.errors import UsageProblem

if TYPE_CHECKING:
    from leakscope.report import Report
    from leakscope.sources.program import Program
    from leakscope.sources.recording import Recorder


def fails(report: Report, fail_on: tuple[str, ...]) -> bool:
    """Whether a leak was found, or a verdict that was asked to count as one."""
    return report.verdict == "leaking" or report.verdict in fail_on


def status_of(report: Report, *, exit_zero: bool, fail_on: tuple[str, ...]) -> int:
    """1 for a report that fails, unless the status is to say nothing of it; else 0."""
    return int(not exit_zero and fails(report, fail_on))


def status_of_recording(recorder: Recorder | None) -> int:
    """Not 0 when a recording was asked for and is not whole."""
    return UsageProblem.exit_code if recorder and recorder.lost else 0


def status_of_run(program: Program, of_report: int) -> int:
    """The program's own status where that is not 0, else what the report amounts to.

    How a program ends that leakscope has ended tells of leakscope, and not of the program.
    """
    return of_report if program.was_ended else program.wait() or of_report
