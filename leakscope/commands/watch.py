"""`leakscope watch`: follow a process and say what leaks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from leakscope.commands.beside import beside_options
from leakscope.commands.options import (
    Pid,
    alarm_options,
    format_option,
    looking_options,
    redact_option,
    sampling_options,
    set_up_log,
    verdict_options,
    view_of,
    view_options,
    writing_options,
)
from leakscope.commands.printing import OF_REPORTS
from leakscope.commands.statuses import status_of, status_of_recording
from leakscope.redaction import Redaction

if TYPE_CHECKING:
    from leakscope.commands.following import Follower


@click.command("watch", short_help="Follow the threads of a process and say which stacks leak.")
@click.argument("pids", metavar="[PID]...", type=Pid(), nargs=-1)
@sampling_options
@verdict_options
@alarm_options
@beside_options()
@format_option(*OF_REPORTS)
@looking_options
@redact_option
@view_options
@writing_options
def command(
    pids: tuple[int, ...],
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
    children: bool,
    color: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Follow the threads of a process and say which stacks keep growing.

    It samples until --duration, --count, Ctrl-C, SIGTERM or the end of the process, and then always
    prints its report. A leak can be named after half a minute; a slow one takes longer. Of several
    processes it is one view and one report, until the last of them ends. Without PID it watches the
    only Python process that this user can look at.

    \b
    leakscope watch 4711
    leakscope watch 4711 --duration 5m
    leakscope watch $(pgrep -f worker.py) --duration 5m
    leakscope watch 4711 --duration 1m --json | jq -c 'select(.type == "summary") | .leaks[]'
    """
    set_up_log(verbose=verbose)
    from leakscope.commands.following import followed, output_of
    from leakscope.commands.looking import Asked, watch
    from leakscope.commands.targets import pid_or_only
    from leakscope.sources.recording import Recorder
    from leakscope.sources.timetable import Schedule

    pids = tuple(
        pid_or_only(pid, redact, say_pause=blocking and not quiet)
        for pid in dict.fromkeys(pids or (None,))
    )
    view = view_of(group_by, ignore, baseline, excuses)
    recorder = Recorder(record) if record else None
    watching = partial(
        watch,
        Asked(pids, children, blocking, None if every_dump or blocking else max_cpu / 100, redact),
        view,
        Schedule(interval, duration, count),
        recorder=recorder,
        exit_on_leak=exit_on_leak,
    )
    out = output_of(output, format_, quiet=quiet)
    show = partial(followed, quiet=quiet, beside=beside, is_recorded=recorder is not None)
    report = show(pids, watching, out, format_, color)
    return status_of(report, exit_zero=exit_zero, fail_on=fail_on) or status_of_recording(recorder)
