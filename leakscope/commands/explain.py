"""`leakscope explain`: all that is known of one group."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from leakscope.commands.options import (
    redact_option,
    set_up_log,
    view_of,
    view_options,
    writing_options,
)
from leakscope.errors import UsageProblem
from leakscope.redaction import Redaction

if TYPE_CHECKING:
    from leakscope.accounts import Account
    from leakscope.engine import View


@click.command("explain", short_help="Tell all that a report or recording knows of one group.")
@click.argument("group")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@redact_option
@view_options
@writing_options
def command(
    group: str,
    file: str,
    redact: Redaction,
    ignore: tuple[re.Pattern[str], ...],
    group_by: str,
    output: str,
    color: str,
    quiet: bool,
    verbose: bool,
) -> None:
    """Tell all that FILE knows of the group with the id GROUP, or whose id begins so.

    FILE is what was saved of `leakscope dump --json` or `leakscope watch --json`, or a recording,
    which is judged anew; gzipped or not. It can be - for standard input.

    \b
    leakscope explain 3f9c1a2b77e0 report.json
    leakscope watch 4711 --duration 1m --json | leakscope explain 3f9c -
    """
    set_up_log(verbose=verbose)
    from leakscope.commands.printing import print_lines
    from leakscope.output import Output
    from leakscope.renderers import account_text

    out = Output(output)
    account = found(group, file, view_of(group_by, ignore), redact)
    print_lines(out, account_text.lines(account, unicode=out.has_unicode), color)
    out.close()


def found(group: str, file: str, view: View, redaction: Redaction) -> Account:
    """What is known of a group. Raises UsageProblem where FILE or the id is no good."""
    from leakscope.accounts import accounts
    from leakscope.checked import BadValue, wrong

    documents = list(_documents(file, view, redaction))
    try:
        everything = accounts(documents)
    except (BadValue, KeyError) as error:
        raise UsageProblem(f"{_name(file)} is not a report: {wrong(error)}") from None
    fitting = [account for account in everything if account.id.startswith(group)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        ids = ", ".join(account.id for account in fitting[:5])
        raise UsageProblem(f"several groups begin with {group}: {ids}", "Give more of the id.")
    known = ", ".join(account.id for account in everything[:5])
    raise UsageProblem(
        f"{_name(file)} has no group {group}", f"It has {known}." if known else "It has none."
    )


def _documents(file: str, view: View, redaction: Redaction) -> Iterable[Any]:
    import json

    from leakscope.commands.replay import judged
    from leakscope.sources.recording import Recording
    from leakscope.sources.saved import opened_saved
    from leakscope.wire import encode, report_document

    with opened_saved(file) as saved:
        if not isinstance(saved, Recording):
            yield from saved
            return
        report = judged(saved, view, redaction=redaction)
    yield json.loads(encode(report_document(report)))


def _name(file: str) -> str:
    return "standard input" if file == "-" else file
