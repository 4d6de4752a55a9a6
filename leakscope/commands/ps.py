"""`leakscope ps`: which Python processes there are to look at."""

from __future__ import annotations

import click

from leakscope.commands.options import format_option, redact_option
from leakscope.output import Output
from leakscope.redaction import Redaction


@click.command("ps", short_help="List the Python processes that you can look at.")
@format_option("text", "json", "ndjson")
@redact_option
def command(format_: str, redact: Redaction) -> None:
    """List the Python processes that this user can look at, most threads first."""
    from leakscope.sources.process_list import python_processes

    found = python_processes(redact)
    if format_ != "text":
        from leakscope.wire import encode, processes_document

        Output().lines([encode(processes_document(found))])
    else:
        from leakscope.renderers.process_text import process_lines

        Output().lines(process_lines(found))
