"""`leakscope dump`: one look, grouped."""

from __future__ import annotations

import re

import click

from leakscope.commands.options import (
    Pid,
    format_option,
    looking_options,
    set_up_log,
    view_of,
    view_options,
    writing_options,
)


@click.command("dump", short_help="Look once: all threads, grouped by stack.")
@click.argument("pid", type=Pid(), required=False)
@format_option("text", "json", "ndjson")
@looking_options
@view_options
@writing_options
def command(
    pid: int | None,
    format_: str,
    output: str,
    ignore: tuple[re.Pattern[str], ...],
    group_by: str,
    blocking: bool,
    color: str,
    quiet: bool,
    verbose: bool,
) -> None:
    """Look once at all threads of a process, grouped by stack, biggest group first.

    Without PID it looks at the only Python process that this user can look at.

    \b
    leakscope dump 4711
    leakscope dump 4711 --json | jq '.groups[0]'
    """
    set_up_log(verbose=verbose)
    from leakscope.commands.looking import look_once
    from leakscope.commands.printing import write_report
    from leakscope.commands.targets import pid_or_only

    report = look_once(pid_or_only(pid), view_of(group_by, ignore), blocking=blocking)
    write_report(report, output, format_, color)
