"""Which process a command is about, and the words when that can't be told."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from leakscope.errors import UsageProblem
from leakscope.redaction import Redaction, redacted

if TYPE_CHECKING:
    from leakscope.processes import ProcessFacts


def _is_leakscope(process: ProcessFacts) -> bool:
    """Whether this is a leakscope: whoever runs two means a third process by the only one."""
    words = process.command[:3]
    return any(word.endswith("/leakscope") for word in words) or words[1:] == ("-m", "leakscope")


def pid_or_only(
    pid: int | None, redaction: Redaction = Redaction.SECRETS, *, say_pause: bool = False
) -> int:
    """The PID that was given, else that of the only Python process that can be looked at.

    With `say_pause` it says what stopping that process for each dump will cost. Raises
    UsageProblem, with the list of them, when there are several.
    """
    pid = _only(redaction) if pid is None else pid
    if say_pause and sys.stderr.isatty():  # to whom it may concern: a pipe cannot think again
        _say_pause(pid)
    return pid


def _only(redaction: Redaction) -> int:
    from leakscope.renderers.process_text import process_lines
    from leakscope.sources.process_list import python_processes

    # Masked only when shown: which of them are leakscopes is told by the words.
    everything = python_processes(Redaction.NONE)
    found = [process for process in everything if not _is_leakscope(process)]
    if not found:
        raise UsageProblem(
            "no PID was given, and there is no Python process that this user can look at",
            "Name the PID of one; as root, `leakscope ps` lists those of all users.",
        )
    if len(found) > 1:
        shown = [replace(each, command=redacted(each.command, redaction)) for each in found]
        listed = "\n".join(process_lines(shown))
        raise UsageProblem(
            "no PID was given, and there are several Python processes to look at", listed
        )
    return found[0].pid


def _say_pause(pid: int) -> None:
    """Say on standard error, before it happens, what blocking dumps will cost the process."""
    import click

    from leakscope.pauses import pause_s
    from leakscope.sources import kernel
    from leakscope.sources.python_version import python_version

    state = kernel.process_state(pid)
    if state is None:
        return
    about_s = pause_s(state.threads, python_version(pid))
    click.echo(
        f"leakscope: --blocking stops process {pid} for about {1000 * about_s:.0f} ms at each "
        f"sample ({state.threads} threads)",
        err=True,
    )
