"""`leakscope dump`: one look, grouped."""

from __future__ import annotations

import contextlib
import gc
import re
from typing import TYPE_CHECKING

import click

from leakscope.commands.options import (
    Pid,
    format_option,
    looking_options,
    option,
    redact_option,
    set_up_log,
    view_of,
    view_options,
    writing_options,
)
from leakscope.commands.printing import OF_REPORTS, write
from leakscope.errors import UsageProblem
from leakscope.redaction import Redaction

if TYPE_CHECKING:
    from leakscope.sources.pyspy import PySpy
    from leakscope.variables import ThreadVariables


@click.command("dump", short_help="Look once: all threads, grouped by stack.")
@click.argument("pid", type=Pid(), required=False)
@option(
    "--locals",
    "group_of_locals",
    metavar="GROUP",
    help="Show the local variables of up to three threads of this group instead. "
    "They can hold secrets.",
)
@format_option(*OF_REPORTS)
@looking_options
@redact_option
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
    redact: Redaction,
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
        found = _locals_of(pid, group_of_locals, format_, blocking=blocking, redaction=redact)
        _show_locals(found, output, redact, quiet=quiet)
        return
    from leakscope.commands.targets import pid_or_only
    from leakscope.sources.pyspy import PySpy

    pid = pid_or_only(pid, redact, say_pause=blocking and not quiet)
    pyspy = PySpy(pid, blocking=blocking)
    if not children:
        pyspy.start()  # it takes longer than to import all that is needed for its answer
    gc.disable()  # one look leaves no garbage, and a collector would search all of it again
    try:
        from leakscope.commands.looking import Asked, look_once

        asked = Asked((pid,), children, blocking, redaction=redact)
        report = look_once(asked, view_of(group_by, ignore), pyspy)
    finally:
        pyspy.close()
    write(report, OF_REPORTS, format_, output, color)


# More threads of one group say the same with other addresses.
_THREADS_OF_LOCALS = 3


def _locals_of(
    pid: int | None, group: str, format_: str, *, blocking: bool, redaction: Redaction
) -> tuple[ThreadVariables, ...]:
    from leakscope.commands.targets import pid_or_only
    from leakscope.sources.pyspy import PySpy

    if format_ != "text":
        raise UsageProblem("local variables are shown as text only")
    pid = pid_or_only(pid, redaction)
    found = _variables_now(PySpy(pid, blocking=blocking, variables=True), group)
    if not found:
        raise UsageProblem(
            f"process {pid} has no thread in a group {group} now",
            f"`leakscope dump {pid}` lists its groups, with their ids.",
        )
    return found


def _show_locals(
    found: tuple[ThreadVariables, ...], output: str, redaction: Redaction, *, quiet: bool
) -> None:
    from leakscope.output import Output
    from leakscope.renderers.variables_text import variables_lines

    if not quiet:
        click.echo("Local variables can hold secrets: look before you paste.", err=True)
    out = Output(output)
    out.lines(variables_lines(found[:_THREADS_OF_LOCALS], redaction))
    out.close()


# A dump that does not stop its target fails now and then while threads come and go.
_TRIES = 5


def _variables_now(pyspy: PySpy, group: str) -> tuple[ThreadVariables, ...]:
    from leakscope.errors import DumpFailed

    for _ in range(_TRIES - 1):
        with contextlib.suppress(DumpFailed):
            return pyspy.variables(group)
    return pyspy.variables(group)
