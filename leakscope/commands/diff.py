"""`leakscope diff`: what has changed between two looks that were saved."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from leakscope.commands.options import (
    OutFile,
    format_option,
    option,
    set_up_log,
    view_options,
    writing_options,
)
from leakscope.commands.printing import OF_DIFFS, write
from leakscope.diffing import MIN_GROWTH

if TYPE_CHECKING:
    from leakscope.diffing import Diff
    from leakscope.stacks import Level

_FILE = click.Path(dir_okay=False, allow_dash=True)


@click.command("diff", short_help="Compare two saved looks.")
@click.argument("before", type=_FILE)
@click.argument("after", type=_FILE)
@option(
    "--min-growth",
    type=click.IntRange(min=1),
    default=MIN_GROWTH,
    show_default=True,
    help="Exit with 1 when a group grew by so many threads; a few come and go between any looks.",
)
@option("--exit-zero", is_flag=True, help="Exit with 0 even if a group has grown.")
@option(
    "--html",
    type=OutFile(),
    metavar="FILE",
    help="Write a page too, to send around and open in a browser.",
)
@format_option(*OF_DIFFS)
@view_options
@writing_options
def command(
    before: str,
    after: str,
    min_growth: int,
    exit_zero: bool,
    html: str | None,
    format_: str,
    ignore: tuple[re.Pattern[str], ...],
    group_by: str,
    output: str,
    color: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Compare two looks: which groups are new, gone, grown, shrunk; biggest growth first.

    BEFORE and AFTER are what was saved of `leakscope dump --json`, of `leakscope watch --json` or
    --record (the last look counts), or of `py-spy dump`, as text or JSON; gzipped or not. One of
    them can be - for standard input.

    \b
    py-spy dump --pid 4711 > before.txt
    leakscope dump 4711 --json | leakscope diff before.txt -
    """
    set_up_log(verbose=verbose)
    from leakscope.stacks import Level

    page = _page(html) if html else None
    diff = replace(compared(before, after, Level(group_by), ignore), min_growth=min_growth)
    if page:
        page(diff)
    write(diff, OF_DIFFS, format_, output, color)
    return int(diff.has_grown and not exit_zero)


def _page(path: str) -> Callable[[Diff], None]:
    """Writes the page of a comparison. Raises UsageProblem at once where it cannot."""
    from leakscope.output import Output
    from leakscope.renderers.page.diff_page import lines
    from leakscope.renderers.page.drawing import check_installed

    check_installed()
    out = Output(path)

    def write_page(diff: Diff) -> None:
        out.lines(lines(diff))
        out.close()

    return write_page


def compared(before: str, after: str, level: Level, ignore: tuple[re.Pattern[str], ...]) -> Diff:
    """The difference of two files. Raises UsageProblem where they can't be read or compared."""
    from leakscope.diffing import can_group, difference
    from leakscope.errors import UsageProblem
    from leakscope.sources.saved import STDIN, read_saved

    if before == after == STDIN:
        raise UsageProblem("only one of BEFORE and AFTER can be standard input")
    first, second = read_saved(before), read_saved(after)
    for look in (first, second):
        if not can_group(look, level):
            raise UsageProblem(
                f"{look.name} was saved with --group-by {look.level}, which keeps less than "
                f"--group-by {level} needs",
                f"Compare with --group-by {look.level}.",
            )
    return difference(first, second, level, ignore)
