"""`leakscope replay`: judge a recording as if it happened now."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import click

from leakscope.commands.beside import beside_options
from leakscope.commands.invocation import made_by
from leakscope.commands.options import (
    Duration,
    InFile,
    alarm_options,
    format_option,
    option,
    redact_option,
    set_up_log,
    verdict_options,
    view_of,
    view_options,
    writing_options,
)
from leakscope.commands.printing import OF_REPORTS, write
from leakscope.commands.statuses import status_of
from leakscope.output import say
from leakscope.redaction import Redaction, redacted

if TYPE_CHECKING:
    from leakscope.commands.following import Follower
    from leakscope.commands.looking import Watched
    from leakscope.engine import View
    from leakscope.report import Report
    from leakscope.rounds import Event
    from leakscope.sources.recording import Recording


@click.command("replay", short_help="Judge a recording as if it happened now.")
@click.argument("file", type=InFile())
@option(
    "--until", type=Duration(), help="Only this much of it, counted from its first sample: 60s."
)
@verdict_options
@beside_options("listen")  # there is nothing that goes on
@alarm_options
@format_option(*OF_REPORTS)
@redact_option
@view_options
@writing_options
def command(
    file: str,
    until: float | None,
    exit_zero: bool,
    fail_on: tuple[str, ...],
    beside: Sequence[Follower],
    baseline: str | None,
    excuses: str | None,
    format_: str,
    redact: Redaction,
    ignore: tuple[re.Pattern[str], ...],
    group_by: str,
    output: str,
    color: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Judge a recording of a watch with the same engine, and print the same report.

    FILE is what `leakscope watch PID --record FILE` wrote, or samples of `py-spy dump --json`, one
    a line as {"t": Unix seconds, "threads": [...]}; gzipped or not.
    """

    set_up_log(verbose=verbose)
    report, lost = replay(
        file, view_of(group_by, ignore, baseline, excuses), until, redaction=redact
    )
    if lost and not quiet:
        say(f"{file} is cut off: {lost}")
    show = partial(write, report, OF_REPORTS, format_, output, color)
    if beside:
        _show_beside(show, report, beside)
    else:
        show()
    return status_of(report, exit_zero=exit_zero, fail_on=fail_on)


class _Shown:
    """The report as one of those that follow: what fails of them takes nothing from the others."""

    def __init__(self, show: Callable[[], None]) -> None:
        self._show = show

    def sample(self, watched: Watched) -> None:
        pass

    def finish(self, report: Report) -> None:
        self._show()


def _show_beside(show: Callable[[], None], report: Report, beside: Sequence[Follower]) -> None:
    from leakscope.commands.following import Together, linger

    together = Together((*beside, _Shown(show)), is_needed=True)
    together.finish(report)
    linger(beside)
    together.check()


def replay(
    file: str,
    view: View,
    until_s: float | None = None,
    *,
    redaction: Redaction = Redaction.SECRETS,
) -> tuple[Report, str | None]:
    """The report of a recording, and why the rest of it is lost, if it is.

    Raises UsageProblem when it cannot be read.
    """
    from leakscope.sources.recording import Recording

    recording = Recording(file)
    return judged(recording, view, until_s, redaction=redaction), recording.cut_off


def judged(
    recording: Recording,
    view: View,
    until_s: float | None = None,
    *,
    redaction: Redaction = Redaction.SECRETS,
) -> Report:
    """The report of a recording. Raises UsageProblem when it cannot be read."""
    from leakscope.members import Members
    from leakscope.report import EndedBy, Kind

    members = Members(view)
    for event in recording.events(until_s):
        # It may have been recorded with all in it.
        members.observe(_masked(event, redaction))
    head = recording.head or recording.head_of_several
    # A recording of which a part was judged, or that was cut off, did not end as the watch did.
    known = {reason.value: reason for reason in EndedBy}
    ended_by = known.get(recording.ended_by or "", EndedBy.RECORDING)
    members.judge_anew()
    report = members.report(Kind.SUMMARY, ended_by, head.interval_s if head else None)
    return replace(report, made_by=made_by(redaction))


def _masked(event: Event, redaction: Redaction) -> Event:
    from leakscope.rounds import Joined

    if not isinstance(event, Joined):
        return event
    command = redacted(event.target.command, redaction)
    return event._replace(target=replace(event.target, command=command))
