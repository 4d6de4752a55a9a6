"""`leakscope watch`: follow a process and say what leaks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from leakscope.commands.beside import beside_options
from leakscope.commands.options import (
    Duration,
    Pid,
    format_option,
    looking_options,
    option,
    redact_option,
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
@click.argument("pid", type=Pid(), required=False)
@option(
    "-n",
    "--interval",
    type=Duration(),
    default="1s",
    show_default=True,
    help="Time between samples: 500ms, 2s; a bare number is seconds.",
)
@option("-d", "--duration", type=Duration(), help="End after this time: 90s, 5m, 2h.")
@option("--count", type=click.IntRange(min=1), help="End after this many samples.")
@option(
    "--record",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Record what is seen, for `leakscope replay`: .jsonl or .jsonl.gz.",
)
@option(
    "--max-cpu",
    type=click.FloatRange(min=0.1, max=100.0),
    default=2.0,
    show_default=True,
    metavar="PERCENT",
    help="Take no more than this of one core, py-spy included, by reading stacks more rarely. "
    "Threads are counted at each sample all the same.",
)
@option(
    "--every-dump",
    is_flag=True,
    help="Read all stacks at each sample, whatever it costs. --blocking implies it.",
)
@option("--exit-on-leak", is_flag=True, help="End as soon as a leak is certain.")
@verdict_options
@beside_options
@format_option(*OF_REPORTS)
@looking_options
@redact_option
@view_options
@writing_options
def command(
    pid: int | None,
    interval: float,
    duration: float | None,
    count: int | None,
    record: str | None,
    max_cpu: float,
    every_dump: bool,
    exit_on_leak: bool,
    exit_zero: bool,
    fail_on: tuple[str, ...],
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
    prints its report. A leak can be named after half a minute; a slow one takes longer. Without PID
    it watches the only Python process that this user can look at.

    \b
    leakscope watch 4711
    leakscope watch 4711 --duration 5m
    leakscope watch 4711 --duration 1m --json | jq -c 'select(.type == "summary") | .leaks[]'
    """
    set_up_log(verbose=verbose)
    from leakscope.commands.following import followed
    from leakscope.commands.looking import Asked, watch
    from leakscope.commands.targets import pid_or_only
    from leakscope.sources.recording import Recorder
    from leakscope.sources.timetable import Schedule

    pid = pid_or_only(pid, redact, say_pause=blocking and not quiet)
    recorder = Recorder(record) if record else None
    watching = partial(
        watch,
        Asked(pid, children, blocking, None if every_dump or blocking else max_cpu / 100, redact),
        view_of(group_by, ignore),
        Schedule(interval, duration, count),
        recorder=recorder,
        exit_on_leak=exit_on_leak,
    )
    report = followed(pid, watching, output, format_, color, quiet=quiet, beside=beside)
    return status_of(report, exit_zero=exit_zero, fail_on=fail_on) or status_of_recording(recorder)
