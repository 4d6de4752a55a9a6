"""The leaks of many reports as lines of plain text."""

from __future__ import annotations

from collections.abc import Iterator

from leakscope.printable import printable
from leakscope.ranking import Ranked, Ranking
from leakscope.renderers.columns import table
from leakscope.renderers.text import diagnosis_lines
from leakscope.renderers.wording import location, place, plural

# In the table, and told in full. More would be scrolled past; in JSON there are all.
TOP_LEAKS = 20
TOP_TOLD = 5

_HEADINGS = (
    "rms", "instances", "total", "worst", "first seen", "verdict", "wait", "id", "where",
)  # fmt: skip
_NUMBERS = (0, 1, 2, 3)


def lines(ranking: Ranking) -> Iterator[str]:
    """The leaks in a table, what is to be done first at its head; the first of them in full."""
    yield _sentence(ranking)
    if not ranking.leaks:
        return
    yield ""
    yield from table([_HEADINGS, *map(_row, ranking.leaks[:TOP_LEAKS])], _NUMBERS)
    if len(ranking.leaks) > TOP_LEAKS:
        yield f"and {plural(len(ranking.leaks) - TOP_LEAKS, 'leak')} of lower rank"
    for number, leak in enumerate(ranking.leaks[:TOP_TOLD], 1):
        yield ""
        yield from _told(number, leak, ranking)


def what_was_read(ranking: Ranking) -> str:
    """How many reports, and how much else was given and is left out."""
    read = f"{plural(ranking.reports, 'report')} read"
    if ranking.unreadable:
        read += f", {ranking.unreadable} unreadable"
    if ranking.other_lines:
        read += f", {plural(ranking.other_lines, 'other line')}"
    return read


def _sentence(ranking: Ranking) -> str:
    read = what_was_read(ranking)
    hit = f"{ranking.instances_hit} of {plural(ranking.instances, 'instance')}"
    if ranking.leaks:
        return f"LEAKING: {plural(len(ranking.leaks), 'leak')} in {hit} ({read})"
    others = [
        f"{ranking.verdicts[verdict]} {verdict}"
        for verdict in ("growing", "unknown")
        if ranking.verdicts.get(verdict)
    ]
    said = f"; {' and '.join(others)}" if others else ""
    return f"no leak in {plural(ranking.instances, 'instance')} ({read}{said})"


def _row(leak: Ranked) -> tuple[str, ...]:
    return (
        f"{leak.rms:.1f}",
        str(leak.instances),
        str(leak.total),
        str(leak.worst.count),
        _moment(leak.first_seen),
        leak.verdict,
        printable(leak.wait or "-"),
        printable(leak.id),
        place(leak.site),
    )


def _told(number: int, leak: Ranked, ranking: Ranking) -> Iterator[str]:
    yield (
        f"LEAK {number}  {plural(leak.total, 'thread')}  {_rate(leak)}"
        f"  [{printable(leak.wait or '-')}]  {place(leak.site)}"
    )
    yield from diagnosis_lines(leak.culprit, leak.cause)
    yield f"  instances   {leak.instances} of {ranking.instances}"
    yield (
        f"  worst       {plural(leak.worst.count, 'thread')} in process {leak.worst.pid}, "
        f"{printable(leak.worst.where)}"
    )
    yield f"  seen        from {_moment(leak.first_seen)} to {_moment(leak.last_seen)}"
    if leak.site:
        yield f"  at          {location(leak.site)} {printable(leak.site.function)}"
    yield f"  group       {printable(leak.id)}"


def _rate(leak: Ranked) -> str:
    if leak.rate_per_min is None:
        return "rate unknown"
    known = f"+{leak.rate_per_min:.1f}/min"
    if leak.rate_unknown:
        return f"{known}, unknown of {plural(leak.rate_unknown, 'instance')}"
    return known


def _moment(moment: str | None) -> str:
    """To the second: `2026-03-01 14:02:11Z`."""
    return "-" if moment is None else f"{moment[:10]} {moment[11:19]}Z"
