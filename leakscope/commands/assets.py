"""`leakscope assets`: alert rules, a dashboard and recipes, to be put where they are used."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import click

from leakscope.assets import Asset, assets
from leakscope.destination import Destination
from leakscope.errors import UsageProblem
from leakscope.output import Output
from leakscope.printable import printable


@click.command("assets", short_help="Write out alert rules, a dashboard and recipes.")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--force", is_flag=True, help="Overwrite what is there.")
def command(folder: Path, force: bool) -> None:
    """Write Prometheus rules, a Grafana dashboard and recipes for containers into DIR.

    The recipes are for Docker and Kubernetes; each says what rights it needs and why. DIR is made
    if it is not there. A line is printed for each file.

    \b
    leakscope assets ./leakscope-assets
    """
    files = tuple(assets())
    if not force:
        _refuse_to_overwrite(folder, files)
    for asset in files:
        path = folder / asset.path
        _write(path, asset.content)
        Output().lines([printable(str(path))])


def _refuse_to_overwrite(folder: Path, files: tuple[Asset, ...]) -> None:
    """Before anything is written, so that it is all or nothing."""
    there = [path for asset in files if os.path.lexists(path := folder / asset.path)]
    if there:
        more = f" and {len(there) - 1} more" if there[1:] else ""
        message = f"{there[0]}{more} would be overwritten"
        raise UsageProblem(message, "--force does that; else name another folder.")


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or error
        raise UsageProblem(f"cannot make the folder {path.parent}: {why}") from None
    with closing(Destination(str(path))) as destination:
        destination.write(content)
