"""What is wrong, in sentences: each leak with its count, rate, age, place, cause and cure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from leakscope.leaks import Leak
from leakscope.policy import Trend
from leakscope.renderers.live.pen import Part, Pen
from leakscope.renderers.theme import origin
from leakscope.renderers.wording import (
    by_suspicion,
    diagnosis,
    doing_of,
    doing_of_leak,
    place,
    plural,
)
from leakscope.report import Group, Report
from leakscope.spans import duration

_WHERE, _WHY, _CURE, _KNOWN = "  where  ", "  why    ", "  cure   ", "  known  "


def findings(report: Report, pen: Pen, room: int) -> list[Text]:
    """All leaks, or what grows where there is none, in so many lines at most.

    As many as fit are told with all that is known of them; the others have a line each.
    """
    if report.leaks:
        wholes = [leak_lines(n, leak, report, pen) for n, leak in enumerate(report.leaks, 1)]
        noun = "leak"
    else:
        growing = [g for g in by_suspicion(report) if g.verdict.trend is Trend.GROWING]
        wholes = [growing_lines(group, report, pen) for group in growing]
        noun = "growing group"
    briefs = _briefs(report, pen)
    if not wholes or room <= 0:
        return []
    for whole in range(len(wholes), 0, -1):
        told = [*(line for lines in wholes[:whole] for line in lines), *briefs[whole:]]
        if len(told) <= room:
            return told
    # One alone is cut where it must be; of many, each has its line.
    if len(wholes) == 1:
        return wholes[0][:room]
    if len(briefs) <= room:
        return briefs
    more = len(briefs) - (room - 1)
    return [*briefs[: room - 1], pen.line((f"and {plural(more, f'more {noun}')}", "leak"))]


def _briefs(report: Report, pen: Pen) -> list[Text]:
    if report.leaks:
        return [
            pen.line(
                (f"LEAK {number}  {_growth(leak)}, ", "leak"),
                *_place(leak.site and place(leak.site), leak),
            )
            for number, leak in enumerate(report.leaks, 1)
        ]
    growing = [g for g in by_suspicion(report) if g.verdict.trend is Trend.GROWING]
    return [growing_lines(group, report, pen)[0] for group in growing]


def _growth(leak: Leak) -> str:
    return f"{plural(len(leak.leaked), 'thread')}, {leak.rate_per_min:.1f} more a minute"


def _place(where: str | None, leak: Leak) -> list[Part]:
    filename = leak.site.filename if leak.site else ""
    return [(where or place(None), origin(filename))]


def leak_lines(number: int, leak: Leak, report: Report, pen: Pen) -> list[Text]:
    """A leak with all that is known of it, but for its evidence and its stack."""
    since_s = _since_s(leak, report)
    age = f", for {duration(since_s)} now" if since_s is not None else ""
    lines = [
        pen.line((f"LEAK {number}  {_growth(leak)}{age}", "leak")),
        pen.line(
            (_WHERE, "heading"),
            *_place(leak.site and place(leak.site), leak),
            f"  [{doing_of_leak(leak, report)}]",
        ),
    ]
    found = diagnosis(leak.culprit, leak.cause)
    if found:
        lines += pen.wrapped(_KNOWN if found.word == "known" else _WHY, found.why)
        lines += pen.wrapped(_CURE, found.cure, "cure")
    else:
        lines += [line for told in leak.evidence[:2] for line in pen.wrapped(_WHY, told)]
    return lines


def _since_s(leak: Leak, report: Report) -> float | None:
    """How long ago the oldest of its threads began."""
    leaked = set(leak.leaked)
    began = [s.began_s for group in report.groups for s in group.stays if s.key in leaked]
    return report.now_s - min(began) if began else None


def growing_lines(group: Group, report: Report, pen: Pen) -> list[Text]:
    """What grows, and why that is said."""
    filename = group.site.filename if group.site else ""
    told: Sequence[str] = group.verdict.evidence
    return [
        pen.line(
            (f"growing  {plural(group.size, 'thread')}  ", Trend.GROWING),
            (place(group.site), origin(filename)),
            f"  [{doing_of(group)}]",
        ),
        *(line for sentence in told for line in pen.wrapped(_WHY, sentence)),
    ]
