"""`leakscope schema`: the published shape of the reports."""

from __future__ import annotations

import json

import click

from leakscope.output import Output


@click.command("schema", short_help="Print the JSON Schema of the reports.")
def command() -> None:
    """Print the JSON Schema that every line of leakscope's JSON follows."""
    from leakscope.wire import schema

    Output().lines([json.dumps(schema(), indent=2)])
