"""The top of the view: which process, its verdict, its threads from birth to now, its limits."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from leakscope.facts import Point
from leakscope.limits import Deadline, deadline_sentence
from leakscope.policy import DEFAULT_POLICY, Trend
from leakscope.renderers.live.pen import Part, Pen
from leakscope.renderers.live.state import Setting
from leakscope.renderers.theme import THEME
from leakscope.renderers.wording import plural, process_line, processes_line
from leakscope.report import Overall, Report
from leakscope.spans import duration

_LABEL = 9  # columns
# Of the line of threads: a part of the terminal's width each, within these bounds.
_BEFORE, _SEEN = 7, 5
_LEAST, _WIDEST = 4, 40
_BAR = 8  # a bar is that part of the width
# Before that, what it took to start would be told as the cost of watching.
_STARTED_S = 10.0


def header(report: Report, frozen: bool, latest: Report, pen: Pen, setting: Setting) -> list[Text]:
    """What is true of the whole process, a line each."""
    lines = [_process(report, pen)]
    if report.several:
        lines.append(pen.line(processes_line(report)))
    lines.append(_verdict(report, pen))
    lines.append(_threads(report, pen))
    lines += _limit(report, pen)
    lines.append(_watch(latest if frozen else report, pen, setting))
    if frozen:
        ago = duration(max(latest.now_s - report.now_s, 0.0))
        lines.append(
            pen.line(
                ("paused   ", "heading"),
                (f"this is how it was {ago} ago; the watch goes on, p shows the latest", "message"),
            )
        )
    if report.not_seen:
        more = len(report.not_seen) - 1
        also = f" (and {more} more: see ?)" if more else ""
        lines.append(pen.line(("not seen ", "heading"), (report.not_seen[0] + also, "heading")))
    return lines


def _process(report: Report, pen: Pen) -> Text:
    if not report.targets:
        return pen.line("no process was seen yet")
    more = len(report.targets) - 1
    also = f" (and {more} more)" if more else ""
    return pen.line(process_line(report.targets[0], report) + also)


def _verdict(report: Report, pen: Pen) -> Text:
    line = pen.line(_sentence(report))
    line.stylize(THEME[report.verdict])
    return line


def _sentence(report: Report) -> str:
    """The verdict, shorter than in a report: what is named there stands on the screen anyway."""
    match report.verdict:
        case Overall.LEAKING:
            rate = sum(leak.rate_per_min for leak in report.leaks)
            return f"LEAKING: {plural(len(report.leaks), 'leak')}, {rate:.1f} threads a minute"
        case Overall.GROWING:
            growing = sum(group.verdict.trend is Trend.GROWING for group in report.groups)
            which = plural(growing, "group") if growing else "threads"
            grow = "grows" if growing == 1 else "grow"
            return f"growing: {which} {grow}; {_not_yet(report)}"
        case Overall.CLEAN:
            if report.noticeable_per_min is None:
                return "clean: no leak so far"
            slowest = f"{report.noticeable_per_min:.1f} threads a minute"
            return f"clean: no leak so far; one slower than {slowest} would not show yet"
        case Overall.UNKNOWN:
            if report.all_left_out:
                return "nothing is judged: every group is left out"
            return f"too early to say; {_not_yet(report)}"


def _not_yet(report: Report) -> str:
    left_s = DEFAULT_POLICY.min_watched_s - report.observed_s
    if left_s <= 0:
        return "not proven to be a leak"
    return f"a leak can be named in {left_s:.0f} s"


# --- threads over time ----------------------------------------------------------------------------


def _threads(report: Report, pen: Pen) -> Text:
    """Their number, from the birth of the process to the start of the watch, and from there on.

    What was before is told by the births of those that still live: the dead have left no trace.
    """
    if report.threads is None:
        return pen.line(("threads  ", "heading"), "not counted yet")
    count = f"{report.threads} now  "
    began_s = report.now_s - report.observed_s
    start_s = _start_s(report)
    seen_width = _share(pen, _SEEN)
    if start_s is None or start_s >= began_s:
        drawn = pen.sparkline(report.total_points, report.now_s, began_s, seen_width)
        past: list[Part] = [(drawn, "sparkline")]
    else:
        before_width = _share(pen, _BEFORE)
        # On one scale of height, and of two scales of time: a watch is short, and a life long.
        points = [
            *_warped(_births(report, began_s), start_s, began_s, 0.0, before_width),
            *_warped(report.total_points, began_s, report.now_s, before_width, seen_width),
        ]
        whole = before_width + seen_width
        drawn = pen.sparkline(points, float(whole), 0.0, whole)
        past = [
            (f"{duration(began_s - start_s)} before ", "heading"),
            (drawn[:before_width], "heading"),
            (pen.signs.seam, "heading"),
            (drawn[before_width:], "sparkline"),
        ]
    seen = f" {duration(report.observed_s)} seen"
    return pen.line(("threads  ", "heading"), (count, "message"), *past, (seen, "heading"))


def _share(pen: Pen, part: int) -> int:
    return max(min(pen.width // part, _WIDEST), _LEAST)


def _births(report: Report, began_s: float) -> list[Point]:
    """How many of the threads that live now had been born by then, until the watch began."""
    born = sorted(
        stay.born_s
        for group in report.groups
        if group.level is report.level
        for stay in group.stays
        if stay.born_s is not None and stay.born_s < began_s
    )
    return [Point(at, number) for number, at in enumerate(born, 1)]


def _start_s(report: Report) -> float | None:
    """When the oldest of the processes began; None where no births are known."""
    births = _births(report, report.now_s - report.observed_s)
    began = [target.began_s for target in report.targets if target.began_s is not None]
    return min([*began, births[0].elapsed_s]) if births else None


def _warped(
    points: Iterator[Point] | tuple[Point, ...] | list[Point],
    first_s: float,
    last_s: float,
    left: float,
    width: int,
) -> Iterator[Point]:
    """The points with their times on a scale of columns, from `left` on."""
    span_s = max(last_s - first_s, 1e-9)
    for at, size in points:
        yield Point(left + width * min(max((at - first_s) / span_s, 0.0), 1.0), size)


# --- limits, and the watch ------------------------------------------------------------------------


def _limit(report: Report, pen: Pen) -> Iterator[Text]:
    """The limit that is hit first; where nothing leaks, the one that is nearest."""
    limit = report.deadline.limit if report.deadline else report.nearest_limit
    if limit is None or limit.allowed <= 0:
        return
    share = limit.used / limit.allowed
    role = "leak" if report.deadline else "library"
    soon, between = _until(report.deadline) if report.deadline else ("", "")
    percent = f"{100 * share:.0f}" if share >= 0.1 else f"{100 * share:.1f}"
    yield pen.line(
        ("limit    ", "heading"),
        (pen.bar(share, max(pen.width // _BAR, 1)), role),
        f" {percent} % used",
        (soon, role),
        f": {limit.name}",
        (between, "heading"),
    )


def _until(deadline: Deadline) -> tuple[str, str]:
    """When it is hit, and how sure that is: `, full in 14 h` and `, between 11 h and 19 h`."""
    said = deadline_sentence(deadline).removeprefix(deadline.limit.name).strip()
    soon, comma, between = said.partition(",")
    return f", full {soon}" if soon.startswith("in ") else f", {soon}", comma + between


def _watch(report: Report, pen: Pen, setting: Setting) -> Text:
    # Of several processes, a count is of rounds, and samples are those of all.
    wanted = None if report.several else setting.samples
    parts: list[Part] = [("watch    ", "heading")]
    if setting.duration_s:
        share = report.observed_s / setting.duration_s
        of = f"{duration(report.observed_s)} of {duration(setting.duration_s)}"
        parts += [(pen.bar(share, max(pen.width // _BAR, 1)), "sparkline"), f" {of}, "]
    elif wanted:
        share = (report.samples + report.missed) / wanted
        parts += [(pen.bar(share, max(pen.width // _BAR, 1)), "sparkline"), " "]
    else:
        parts.append(f"{duration(report.observed_s)}, ")
    of_all = f" of {wanted}" if wanted else ""
    parts.append(f"{report.samples}{of_all} {'sample' if report.samples == 1 else 'samples'}, ")
    parts.append((f"{report.missed} missed", "missed" if report.missed else "library"))
    return pen.line(*parts, _cost(report))


def _cost(report: Report) -> str:
    cost = report.cost
    if cost is None:
        return ""
    cpu_s = cost.own_cpu_s + cost.dumps_cpu_s
    told = f"; cost {cpu_s:.1f} s CPU"
    if report.observed_s >= _STARTED_S:
        told = f"; cost {100 * cpu_s / report.observed_s:.1f} % CPU"
    return f"{told}, {plural(cost.dumps, 'dump')}"
