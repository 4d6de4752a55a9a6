"""One group: why it is judged as it is, its whole stack, and some of its threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from leakscope.facts import Stay
from leakscope.model import RunState
from leakscope.printable import clipped
from leakscope.renderers.live.findings import leak_lines
from leakscope.renderers.live.pen import Pen
from leakscope.renderers.live.stack import stack_lines
from leakscope.renderers.live.state import ViewState, selected
from leakscope.renderers.theme import origin
from leakscope.renderers.wording import (
    LONGEST_NAME,
    change,
    doing_of,
    leak_numbers,
    place,
    plural,
    verdict_words,
)
from leakscope.report import Group, Report
from leakscope.spans import duration

_EXAMPLES = 5  # of the oldest threads, and of the youngest
_WIDEST_SPARKLINE = 60


def detail(report: Report, state: ViewState, pen: Pen) -> list[Text]:
    """All that is known of the selected group, however many lines it takes."""
    group = selected(report, state)
    if group is None:
        return [pen.line("This group is not there any more.")]
    return [
        *_verdict(group, report, pen),
        *stack_lines(group, pen),
        Text(),
        *_threads(group, report, pen),
    ]


def _verdict(group: Group, report: Report, pen: Pen) -> Iterator[Text]:
    word = verdict_words(report)[group.id]
    filename = group.site.filename if group.site else ""
    yield pen.line(
        (f"{word}  ", "heading"),
        (place(group.site), origin(filename)),
        f"  [{doing_of(group)}]",
        (f"  group {group.id}", "heading"),
    )
    width = min(pen.width // 4, _WIDEST_SPARKLINE)
    began_s = report.now_s - report.observed_s
    yield pen.line(
        f"{plural(group.size, 'thread')}, {change(group)} since the first sample, at most "
        f"{group.peak}  ",
        (pen.sparkline(group.points, report.now_s, began_s, width), "sparkline"),
    )
    yield Text()
    number = leak_numbers(report).get(group.id)
    evidence: Sequence[str] = group.verdict.evidence
    if number is not None:
        leak = report.leaks[number - 1]
        yield from leak_lines(number, leak, report, pen)
        # What has a cause is told with it, what has none with its evidence.
        evidence = leak.evidence
    for sentence in evidence:
        yield from pen.wrapped("  - ", sentence)
    if evidence or number is not None:
        yield Text()


def _threads(group: Group, report: Report, pen: Pen) -> Iterator[Text]:
    """The oldest and the youngest: of a leak, the first to look at and those it makes now."""
    stays = sorted(group.stays, key=lambda stay: (stay.began_s, stay.key))
    left_out = len(stays) - 2 * _EXAMPLES
    if left_out <= 0:
        yield pen.line(("threads, the oldest first", "heading"))
        yield from (_thread(stay, report, pen) for stay in stays)
        return
    yield pen.line(("the oldest threads", "heading"))
    yield from (_thread(stay, report, pen) for stay in stays[:_EXAMPLES])
    yield pen.line((f"  {left_out} more", "heading"))
    yield pen.line(("the youngest", "heading"))
    yield from (_thread(stay, report, pen) for stay in stays[-_EXAMPLES:])


def _thread(stay: Stay, report: Report, pen: Pen) -> Text:
    at_least = "" if stay.born_s is not None or not stay.from_start else "at least "
    age = f"{at_least}{duration(max(report.now_s - stay.began_s, 0.0))} old"
    named = clipped(stay.name, LONGEST_NAME) if stay.name else "no name"
    # Of several processes, a thread is known by both.
    process = f"process {stay.key.pid}, " if report.several else ""
    number = f"thread {stay.key.tid}" if stay.key.tid is not None else "thread"
    state = "has run since" if stay.state is RunState.RAN else stay.state.value
    waits = f", {stay.wait}" if stay.wait else ""
    return pen.line(f"  {named}  {age}  {process}{number}  {state}{waits}")
