"""`leakscope watch`: follow a process and say what leaks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from leakscope.commands.options import (
    Duration,
    Pid,
    common_options,
    format_option,
    option,
    output_to,
    set_up_log,
    view_of,
)

if TYPE_CHECKING:
    from leakscope.report import Report


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
@option("--exit-zero", is_flag=True, help="Exit with 0 even if a leak was found.")
@option(
    "--fail-on",
    type=click.Choice(["growing", "unknown"]),
    multiple=True,
    help="Exit with 1 on this verdict too; repeatable.",
)
@format_option("text", "json", "ndjson")
@common_options
def command(  # noqa: PLR0913 - one parameter an option is how click hands them over
    pid: int | None,
    interval: float,
    duration: float | None,
    count: int | None,
    exit_zero: bool,
    fail_on: tuple[str, ...],
    format_: str,
    output: str,
    ignore: tuple[re.Pattern[str], ...],
    group_by: str,
    blocking: bool,
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
    """  # fmt: skip
    set_up_log(verbose=verbose)
    from leakscope.commands.following import follower
    from leakscope.commands.looking import watch
    from leakscope.commands.targets import pid_or_only
    from leakscope.sources.live import Schedule

    out = output_to(output)
    with follower(out, format_, color, quiet=quiet) as follow:
        report = watch(
            pid_or_only(pid),
            view_of(group_by, ignore),
            Schedule(interval, duration, count),
            follow.sample,
            blocking=blocking,
        )
    follow.finish(report)
    out.close()
    return 0 if exit_zero else status_of(report, fail_on)


def status_of(report: Report, fail_on: tuple[str, ...]) -> int:
    """1 when a leak was found, or a verdict that was asked to count as one; else 0."""
    return int(report.verdict == "leaking" or report.verdict in fail_on)
