"""The page of a report: what is on it, as values for the template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from leakscope.averages import mean
from leakscope.leaks import Leak
from leakscope.limits import deadline_sentence
from leakscope.model import Frames
from leakscope.renderers.page.charts import Fit, Way, is_drawn, leak_chart, stacked, way_chart
from leakscope.renderers.page.curves import (
    GROWING,
    MORE_OF_LEAKS,
    Band,
    Curve,
    band_sizes,
    bands_of,
    leak_curve,
    scale_of,
    total_curve,
    watch_began_s,
)
from leakscope.renderers.page.drawing import drawn
from leakscope.renderers.page.timescale import TimeScale, count_step
from leakscope.renderers.page.tree import Held, merged
from leakscope.renderers.sparkline import sparkline
from leakscope.renderers.wording import (
    Diagnosis,
    by_suspicion,
    change,
    command_line,
    diagnosis,
    doing_of,
    doing_of_leak,
    growing_groups,
    how_it_was_watched,
    in_processes,
    known_line,
    leaking_first,
    names_of,
    place,
    plural,
    process_line,
    some,
    uptime_s,
    verdict_sentence,
    verdict_words,
)
from leakscope.report import Group, Report
from leakscope.spans import FORESEEABLE_S, duration, moment, roughly
from leakscope.stacks import real_frames
from leakscope.timeline import timeline

# Charts for so many leaks: a program with more has one cause too many to read them all.
MOST_CHARTS = 12
MOST_LEAKS = 20
MOST_GROUPS = 600  # rows of the table
MOST_NAMES = 5
_SPARKLINE = 16
# A steady leak is to look like a straight line, so its past is squeezed only where the watch would
# not be seen at all.
_MOST_PAST_OF_A_LEAK = 0.9
_ROWS = 6  # of a table of a chart's numbers


class Chart(NamedTuple):
    """A drawing, and the same in words and numbers."""

    svg: Any  # markup, from pygal
    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class LeakCard(NamedTuple):
    """One leak, as it is told."""

    number: int
    leak: Leak
    doing: str
    where: str
    diagnosis: Diagnosis | None
    rate: str
    frames: Frames
    names: str
    processes: str
    chart: Chart | None
    way: Chart | None


class LegendEntry(NamedTuple):
    """What a colour of the stacked chart stands for."""

    slot: int
    label: str
    size: int
    verdict: str  # where it is worth a word


class Row(NamedTuple):
    """A row of the table of groups."""

    group: Group
    change: str
    verdict: str
    doing: str
    where: str
    spark: str
    processes: str


def lines(report: Report) -> list[str]:
    """The lines of the page."""
    return report_page(report).split("\n")


# What the template calls itself.
_WORDING = {
    "place": place,
    "doing_of": doing_of,
    "plural": plural,
    "real_frames": real_frames,
}


def report_page(report: Report) -> str:
    """The whole page."""
    scale = scale_of(report)
    word, _, said = verdict_sentence(_without_commands(report)).partition(": ")
    leaked = frozenset(key for leak in report.leaks for key in leak.leaked)
    shown = [group for group in report.groups if group.level is report.level]
    rows = list(_rows(report))
    return drawn(
        "report.html",
        {
            "report": report,
            "tone": report.verdict.value,
            "word": word,
            "said": said,
            "title": f"{word}: {said}",
            "facts": tuple(_facts(report)),
            "processes": [process_line(target, report) for target in report.targets],
            "leaks": [
                _card(number, leak, report)
                for number, leak in enumerate(report.leaks[:MOST_LEAKS], 1)
            ],
            "more_leaks": max(len(report.leaks) - MOST_LEAKS, 0),
            "deadline": deadline_sentence(report.deadline) if report.deadline else "",
            "growing": growing_groups(report),
            "known": [(known_line(known), known.why) for known in report.known],
            "threads": _threads_chart(report, scale),
            "legend": tuple(_legend(report, scale)),
            "rows": rows[:MOST_GROUPS],
            "more_rows": max(len(rows) - MOST_GROUPS, 0),
            "tree": merged(
                Held(stay.frames, 1, int(stay.key in leaked))
                for group in shown
                for stay in group.stays
            ),
            "members": tuple(_members(report)),
            "closing": how_it_was_watched(report),
            "made_by": command_line(report.made_by) if report.made_by else "",
            "events": [(moment(event.at), event.what) for event in timeline(report)],
            **_WORDING,
        },
    )


def _without_commands(report: Report) -> Report:
    """The report with no command lines: the page tells them in a place of their own."""
    targets = tuple(replace(target, command=()) for target in report.targets)
    return replace(report, targets=targets)


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    """The numbers that are told first."""
    yield "threads now", "unknown" if report.threads is None else f"{report.threads:,}"
    if report.leaks:
        yield "leaked", f"{sum(len(leak.leaked) for leak in report.leaks):,}"
        yield "rate", f"+{sum(leak.rate_per_min for leak in report.leaks):.1f}/min"
    if report.deadline:
        seconds = report.deadline.seconds
        reached = report.deadline.limit.used >= report.deadline.limit.allowed
        yield "a limit is hit", "now" if reached else f"in {roughly(seconds)}"
    cost = report.thread_cost
    if report.leaks and cost and cost.memory_bytes is not None:
        yield "each new thread took", f"{cost.memory_bytes / 1024:.0f} KiB"
    yield "watched for", duration(report.observed_s)
    if report.missed:
        yield "samples missed", f"{report.missed} of {report.samples + report.missed}"


def _card(number: int, leak: Leak, report: Report) -> LeakCard:
    with_chart = number <= MOST_CHARTS
    return LeakCard(
        number=number,
        leak=leak,
        doing=doing_of_leak(leak, report),
        where=place(leak.site),
        diagnosis=diagnosis(leak.culprit, leak.cause),
        rate=f"{leak.rate_per_min:.1f}",
        frames=real_frames(leak.frames),
        names=some(names_of(leak, report), MOST_NAMES),
        processes=in_processes(leak.by_process) if report.several else "",
        chart=_leak_chart(leak, report) if with_chart else None,
        way=_way_chart(leak, report) if with_chart else None,
    )


# --- charts ---------------------------------------------------------------------------------------


def _leak_chart(leak: Leak, report: Report) -> Chart:
    curve = leak_curve(leak, report)
    watch_s, now_s = watch_began_s(report), report.now_s
    began_s = min([watch_s, *curve.births_s])
    scale = TimeScale(began_s, watch_s, now_s, _MOST_PAST_OF_A_LEAK)
    before, now = curve.before(watch_s), curve.at(now_s, watch_s)
    told = [f"{plural(now, 'thread')} now; the line is the rate, {leak.rate_per_min:.1f} a minute."]
    if before:
        told.insert(0, f"Born before the watch, the paler part: {before}.")
    fit = fit_of(curve, leak, watch_s)
    rows = tuple(
        (_when(at - watch_s), str(curve.at(at, watch_s)), _fitted(fit, at))
        for at in _moments(scale)
    )
    return Chart(
        _markup(leak_chart(curve, fit, scale)),
        " ".join([*told, _squeezed(scale)]).strip(),
        ("time", "threads", "by the rate"),
        rows,
    )


def fit_of(curve: Curve, leak: Leak, watch_s: float) -> Fit | None:
    """The line with the leak's rate, through the middle of the threads that it was told from."""
    steps = list(zip(curve.times_s, curve.sizes, strict=True))
    if leak.rate_basis == "births":
        steps = [(at, i) for i, at in enumerate(curve.births_s, 1)]
    elif len([at for at, _ in steps if at > watch_s]) > 1:
        steps = [(at, size) for at, size in steps if at > watch_s]
    if len(steps) < 2 or leak.rate_per_min <= 0:
        return None
    return Fit(mean([at for at, _ in steps]), mean([s for _, s in steps]), leak.rate_per_min / 60)


def way_of(leak: Leak, report: Report) -> Way | None:
    """The way of a leak to the limit that all leaks together hit first, where that is foreseen."""
    deadline = report.deadline
    if deadline is None or leak.rate_per_min <= 0:
        return None
    if deadline.seconds <= 0 or deadline.earliest_s >= FORESEEABLE_S:
        return None
    return Way(
        len(leak.leaked),
        leak.rate_per_min / 60,
        deadline.seconds,
        deadline.earliest_s,
        deadline.latest_s,
    )


def _way_chart(leak: Leak, report: Report) -> Chart | None:
    way = way_of(leak, report)
    if way is None or report.deadline is None:
        return None
    others = "" if len(report.leaks) == 1 else " if all leaks go on as they do"
    limit = f"{way.limit:,.0f} threads of this leak"
    latest = roughly(way.latest_s) if way.latest_s is not None else "not for certain"
    return Chart(
        _markup(way_chart(way)),
        f"{deadline_sentence(report.deadline)}{others}. That is {limit}. "
        "The band is how far off the rate may be (95 %).",
        ("", "from now", "threads of this leak"),
        (
            ("now", "0", str(way.now)),
            ("limit at the earliest", roughly(way.earliest_s), f"{way.limit:,.0f}"),
            ("limit as expected", roughly(way.seconds), f"{way.limit:,.0f}"),
            ("limit at the latest", latest, f"{way.limit:,.0f}"),
        ),
    )


def _threads_chart(report: Report, scale: TimeScale) -> Chart | None:
    if not report.samples:
        return None
    bands, total, watch_s = bands_of(report), total_curve(report), scale.watch_s
    told = [f"The watch began at {moment(report.began_at)}, where the axis says start."]
    if scale.begin_s < watch_s:
        told.append("The paler part before it is from the start times of threads that still live.")
    rows = tuple(
        (_when(at - watch_s), *map(str, (sum(sizes), *sizes)))
        for at in _moments(scale)
        for sizes in [band_sizes(bands, total, at, watch_s)]
    )
    return Chart(
        _markup(stacked(bands, [_label(band) for band in bands], total, scale)),
        " ".join([*told, _squeezed(scale)]).strip(),
        ("time", "all", *(_label(band) for band in bands)),
        rows,
    )


def _legend(report: Report, scale: TimeScale) -> Iterator[LegendEntry]:
    """What each colour stands for, of bands that have gone by now too."""
    bands, total = bands_of(report), total_curve(report)
    sizes = band_sizes(bands, total, report.now_s, scale.watch_s)
    for band, size, is_seen in zip(bands, sizes, is_drawn(bands, total, scale), strict=True):
        if is_seen:
            verdict = "growing" if band.slot == GROWING else "leak"
            yield LegendEntry(
                band.slot, _label(band), size, verdict if band.slot <= MORE_OF_LEAKS else ""
            )


def _label(band: Band) -> str:
    if band.curve is None:
        return "other groups"
    if band.is_unread:
        return "stack not read yet"
    if len(band.groups) > 1:
        return f"{len(band.groups)} more groups of leaks"
    return place(band.groups[0].site)


def _moments(scale: TimeScale) -> list[float]:
    """The moments that a table of numbers is told for."""
    before, seen = scale.moments(_ROWS)
    return [*before[:-1], *(seen or [scale.end_s])]


def _fitted(fit: Fit | None, at_s: float) -> str:
    return f"{max(fit.count_at(at_s), 0.0):.0f}" if fit else "-"


def _when(from_watch_s: float) -> str:
    if from_watch_s < 0:
        return f"{duration(-from_watch_s)} before the watch"
    return duration(from_watch_s)


def _squeezed(scale: TimeScale) -> str:
    if scale.squeeze < 2:
        return ""
    leading = count_step(scale.squeeze, 1)
    times = scale.squeeze if scale.squeeze < 10 else leading
    return f"Time before the start is squeezed, about {times:.0f} times."


def _markup(svg: str) -> Any:
    from markupsafe import Markup

    return Markup(svg)  # ElementTree, which wrote it, escapes what is not of our own


# --- tables ---------------------------------------------------------------------------------------


def _rows(report: Report) -> Iterator[Row]:
    words = verdict_words(report)
    began_s = watch_began_s(report)
    for group in by_suspicion(report):
        yield Row(
            group,
            change(group),
            words[group.id],
            doing_of(group),
            place(group.site),
            sparkline(group.points, report.now_s, began_s, _SPARKLINE),
            in_processes(group.by_process) if report.several else "",
        )


def _members(report: Report) -> Iterator[Sequence[str]]:
    for member in leaking_first(report):
        up_s = uptime_s(member.target, report) if member.ended_s is None else None
        yield (
            str(member.target.pid),
            "-" if member.threads is None else str(member.threads),
            member.verdict.value + ("" if member.ended_s is None else ", ended"),
            "-" if up_s is None else duration(up_s),
            " ".join(member.target.command),
        )
