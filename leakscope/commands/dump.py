"""`leakscope dump`: one look, grouped."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import click

from leakscope.commands.options import (
    Pid,
    format_option,
    looking_options,
    option,
    set_up_log,
    view_of,
    view_options,
    writing_options,
)
from leakscope.errors import UsageProblem

if TYPE_CHECKING:
    from leakscope.sources.pyspy import PySpy


@click.command("dump", short_help="Look once: all threads, grouped by stack.")
@click.argument("pid", type=Pid(), required=False)
@option(
    "--locals",
    "group_of_locals",
    metavar="GROUP",
    help="Show the local variables of up to three threads of this group instead. "
    "They can hold secrets.",
)
@format_option("text", "json", "ndjson")
@looking_options
@view_options
@writing_options
def command(
    pid: int | None,
    group_of_locals: str | None,
    format_: str,
    output: str,
    ignore: tuple[re.Pattern[str], ...],
    group_by: str,
    blocking: bool,
    children: bool,
    color: str,
    quiet: bool,
    verbose: bool,
) -> None:
    """Look once at all threads of a process, grouped by stack, biggest group first.

    Without PID it looks at the only Python process that this user can look at.

    \b
    leakscope dump 4711
    leakscope dump 4711 --json | jq '.groups[0]'
    leakscope dump 4711 --locals 3f9c1a2b77e0
    """
    set_up_log(verbose=verbose)
    if group_of_locals:
        if children:
            raise UsageProblem("local variables are shown of one process: name its PID")
        _show_locals(pid, group_of_locals, format_, output, blocking=blocking, quiet=quiet)
        return
    from leakscope.commands.looking import Asked, look_once
    from leakscope.commands.printing import write_report
    from leakscope.commands.targets import pid_or_only

    asked = Asked(pid_or_only(pid), children, blocking)
    report = look_once(asked, view_of(group_by, ignore))
    write_report(report, output, format_, color)


# More threads of one group say the same with other addresses.
_THREADS_OF_LOCALS = 3


def _show_locals(
    pid: int | None, group: str, format_: str, output: str, *, blocking: bool, quiet: bool
) -> None:
    from leakscope.commands.targets import pid_or_only
    from leakscope.output import Output
    from leakscope.renderers.variables_text import variables_lines
    from leakscope.sources.pyspy import PySpy
    from leakscope.variables import variables_of_group

    if format_ != "text":
        raise UsageProblem("local variables are shown as text only")
    pid = pid_or_only(pid)
    found = variables_of_group(_dumped(PySpy(pid, blocking=blocking, variables=True)), group)
    if not found:
        raise UsageProblem(
            f"process {pid} has no thread in a group {group} now",
            f"`leakscope dump {pid}` lists its groups, with their ids.",
        )
    if not quiet:
        click.echo("Local variables can hold secrets: look before you paste.", err=True)
    out = Output(output)
    out.lines(variables_lines(found[:_THREADS_OF_LOCALS]))
    out.close()


# A dump that does not stop its target fails now and then while threads come and go.
_TRIES = 5


def _dumped(pyspy: PySpy) -> bytes:
    from leakscope.errors import DumpFailed

    for _ in range(_TRIES - 1):
        with contextlib.suppress(DumpFailed):
            return pyspy.text()
    return pyspy.text()
