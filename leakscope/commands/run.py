"""`leakscope run`: start a program, watch it, and end with its status, or 1 when it leaks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import click

from leakscope.commands.beside import beside_options
from leakscope.commands.options import (
    alarm_options,
    blocking_option,
    format_option,
    redact_option,
    sampling_options,
    set_up_log,
    verdict_options,
    view_of,
    view_options,
    writing_options_beside,
)
from leakscope.commands.printing import OF_REPORTS
from leakscope.commands.statuses import status_of, status_of_recording, status_of_run
from leakscope.errors import LeakscopeError, UsageProblem
from leakscope.redaction import Redaction

if TYPE_CHECKING:
    from leakscope.commands.following import Follower
    from leakscope.commands.looking import Watched
    from leakscope.report import Report
    from leakscope.sources.program import Program
    from leakscope.sources.stopping import Stop


@click.command(
    "run",
    short_help="Start a program and watch it.",
    # What comes after the program's name is the program's, with or without `--` before it.
    context_settings={"allow_interspersed_args": False},
)
@click.argument("words", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@sampling_options
@verdict_options
@alarm_options
@beside_options()
@format_option(*OF_REPORTS)
@blocking_option
@redact_option
@view_options
@writing_options_beside
def command(
    words: tuple[str, ...],
    interval: float,
    duration: float | None,
    count: int | None,
    record: str | None,
    max_cpu: float,
    every_dump: bool,
    exit_on_leak: bool,
    exit_zero: bool,
    fail_on: tuple[str, ...],
    baseline: str | None,
    excuses: str | None,
    beside: Sequence[Follower],
    format_: str,
    output: str,
    ignore: tuple[re.Pattern[str], ...],
    group_by: str,
    blocking: bool,
    redact: Redaction,
    color: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Start a program, watch it and all that descends from it, and report when it has ended.

    The program has standard input, output and error for itself; the report goes to standard error
    or --output. Signals are passed on. The exit status is the program's if that is not 0 (128 and
    the number for a signal, 127 or 126 if it cannot be started), else 1 when it leaks.

    With --exit-on-leak the program, and what descends from it, is ended as soon as a leak is
    certain (as by Ctrl-C, after 10 s by SIGTERM, after 5 more by SIGKILL), and the status is 1.
    After --duration or --count it is no longer watched, and goes on.

    \b
    leakscope run -- pytest
    leakscope run --exit-on-leak -o leaks.txt -- ./load-test.sh
    """
    set_up_log(verbose=verbose)
    from leakscope.commands.following import followed, output_of
    from leakscope.commands.looking import Asked, watch
    from leakscope.sources.program import started
    from leakscope.sources.recording import Recorder
    from leakscope.sources.timetable import Schedule

    if not words[0]:
        raise UsageProblem("the command is empty: there is nothing to run")
    view = view_of(group_by, ignore, baseline, excuses)
    recorder = Recorder(record) if record else None
    out = output_of(output, format_, quiet=quiet, to_stderr=True)
    asked = Asked((), True, blocking, None if every_dump or blocking else max_cpu / 100, redact)
    with started(words) as program, _status_of_program_first(program):
        watching = partial(
            watch,
            asked._replace(pids=(program.pid,), is_started=True),
            view,
            Schedule(interval, duration, count),
            recorder=recorder,
            exit_on_leak=exit_on_leak,
        )
        to_its_end = partial(_to_its_end, program, watching)
        show = partial(followed, quiet=quiet, of_program=True, beside=beside)
        report = show((program.pid,), to_its_end, out, format_, color)
    of_report = status_of(report, exit_zero=exit_zero, fail_on=fail_on)
    return status_of_run(program, of_report or status_of_recording(recorder))


@contextmanager
def _status_of_program_first(program: Program) -> Iterator[None]:
    """Wait for the program even if watching it fails; a status of its own is that of leakscope."""
    from leakscope.output import ClosedPipe

    try:
        yield
    except LeakscopeError as error:
        error.exit_code = status_of_run(program, error.exit_code)
        raise
    except ClosedPipe:
        if status := status_of_run(program, 0):
            raise click.exceptions.Exit(status) from None
        raise


def _to_its_end(
    program: Program,
    watching: Callable[[Stop, Callable[[Watched], None]], Report],
    stop: Stop,
    on_round: Callable[[Watched], None],
) -> Report:
    """The report, once the program has ended: what is said of it comes after what it says."""
    from leakscope.report import EndedBy

    report = watching(stop, on_round)
    if report.ended_by is EndedBy.LEAK:
        program.end()
    program.wait()
    return report
