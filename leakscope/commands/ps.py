"""`leakscope ps`: which Python processes there are to look at."""

from __future__ import annotations

import click

from leakscope.commands.options import format_option
from leakscope.output import Output


@click.command("ps", short_help="List the Python processes that you can look at.")
@format_option("text", "json", "ndjson")
def command(format_: str) -> None:
    """List the Python processes that this user can look at, most threads first."""
    from leakscope.sources.process_list import python_processes

    found = python_processes()
    if format_ != "text":
        from leakscope.wire import encode, processes_document

        Output().lines([encode(processes_document(found))])
    else:
        from leakscope.renderers.text import process_lines

        Output().lines(process_lines(found))
