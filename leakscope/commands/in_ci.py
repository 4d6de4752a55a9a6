"""`--junit`: the verdict of a watch, or why there is none, as a test case for CI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from leakscope.commands.looking import Watched
from leakscope.commands.statuses import fails
from leakscope.output import Output
from leakscope.redaction import Redaction, redacted
from leakscope.renderers import junit
from leakscope.report import Report


class JUnitCase:
    """Written at the end, and where there is no report: an older file is not to pass for it."""

    def __init__(self, path: str, name: str, fail_on: tuple[str, ...]) -> None:
        """Raises UsageProblem when nothing can be written there."""
        self._out = Output(path)
        self._name = name
        self._fail_on = fail_on
        self._has_verdict = False

    def sample(self, watched: Watched) -> None:
        pass

    def finish(self, report: Report) -> None:
        self._has_verdict = True
        self._out.lines(junit.lines(report, self._name, failed=fails(report, self._fail_on)))
        self._out.close()

    def fail(self, why: str) -> None:
        """There is no report, unless it was told of one."""
        if not self._has_verdict:
            self._out.lines(junit.lines_of_error(self._name, why))
            self._out.close()


def case_at(path: str) -> JUnitCase:
    """The test case of the command that runs now."""
    asked = click.get_current_context().params
    return JUnitCase(path, _name(asked), asked["fail_on"])


def _name(asked: Mapping[str, Any]) -> str:
    """What was looked at, in words that are the same in the next run, and where it fails.

    So it is told by what was asked for, as far as that says it, and not by what was found: a CI
    system takes a test of another name for another test, and there may be more processes the next
    time. A PID says nothing, so it is told by the command; of one that has gone that is not known.
    """
    redaction: Redaction = asked["redact"]
    if "file" in asked:
        return f"the recording {asked['file']}"
    if "words" in asked:
        return " ".join(redacted(asked["words"], redaction))
    return _command(asked["pids"], redaction) or "the watched process"


def _command(pids: tuple[int, ...], redaction: Redaction) -> str:
    """The command of the first process: the others are its children, or of its kind."""
    from leakscope.sources.target import command_of

    return " ".join(redacted(command_of(pids[0]), redaction)) if pids else ""
