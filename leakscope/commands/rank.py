"""`leakscope rank`: the leaks of many reports, the same leak of many processes as one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from leakscope.commands.options import (
    format_option,
    set_up_log,
    verdict_options,
    writing_options,
)
from leakscope.commands.printing import OF_RANKINGS, write
from leakscope.errors import UsageProblem
from leakscope.output import say

if TYPE_CHECKING:
    from leakscope.ranking import Ranking


@click.command("rank", short_help="Merge the leaks of many reports, the worst first.")
@click.argument(
    "reports", nargs=-1, required=True, type=click.Path(dir_okay=False, allow_dash=True)
)
@verdict_options
@format_option(*OF_RANKINGS)
@writing_options
def command(
    reports: tuple[str, ...],
    exit_zero: bool,
    fail_on: tuple[str, ...],
    format_: str,
    output: str,
    color: str,
    quiet: bool,
    verbose: bool,
) -> int:
    """Merge the leaks of many reports, one of each process, the worst first.

    REPORTS are what `leakscope dump --json`, `watch --json` or `replay --json` wrote, gzipped or
    not; - is standard input. Lines of a log may stand between them. A leak has the same id in
    every process, so thousands of reports come down to a few leaks. They rank by the root mean
    square of their threads, over all processes. What can't be read is said, and left out.

    \b
    leakscope rank reports/*.json
    cat reports/*.json | leakscope rank - --json | jq -c '.leaks[] | [.rms, .id, .site.function]'
    """
    set_up_log(verbose=verbose)
    if reports.count("-") > 1:
        raise UsageProblem("standard input can be read only once")
    ranking = ranked(reports, quiet=quiet)
    write(ranking, OF_RANKINGS, format_, output, color)
    if exit_zero:
        return 0
    return int(bool(ranking.leaks) or any(verdict in ranking.verdicts for verdict in fail_on))


def ranked(reports: Iterable[str], *, quiet: bool) -> Ranking:
    """The ranking of these files; says what it leaves out, unless it is to be quiet.

    That is a line for each report, one for all other lines of a file, and one for all at the end.
    Raises UsageProblem when not one report could be read.
    """
    from leakscope.ranking import Found, Ranker
    from leakscope.renderers.rank_text import what_was_read
    from leakscope.sources.reports import Unreadable, found_reports

    ranker = Ranker()
    unreadable = other_lines = 0
    for path in reports:
        for found in found_reports(path):
            if isinstance(found, Found):
                ranker.add(found)
                continue
            if isinstance(found, Unreadable):
                unreadable += 1
                why = found.why
            else:
                other_lines += found.lines
                more = f" and {found.lines - 1} more" if found.lines > 1 else ""
                why = f"{found.where}{more}: no report begins there"
            if not quiet:
                say(f"left out: {why}")
    ranking = ranker.ranking(unreadable, other_lines)
    if not ranking.reports:
        raise UsageProblem(
            "there is no report to rank",
            "It reads `leakscope dump --json`, `watch --json` and `replay --json`; gzipped or not.",
        )
    if (unreadable or other_lines) and not quiet:
        say(what_was_read(ranking))
    return ranking
