"""A report as lines of plain text, for people, logs and pipes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from leakscope.leaks import Cause, Culprit, Leak
from leakscope.limits import deadline_sentence
from leakscope.model import Frames
from leakscope.policy import Trend
from leakscope.printable import cell_width, clipped, printable
from leakscope.renderers.columns import left, table
from leakscope.renderers.wording import (
    LONGEST_NAME,
    NOTEWORTHY,
    PROCESS_HEADINGS,
    by_suspicion,
    change,
    command_line,
    cost_sentence,
    diagnosis,
    doing_of,
    doing_of_leak,
    growing_groups,
    how_it_was_watched,
    in_processes,
    known_line,
    leak_numbers,
    leaking_first,
    location,
    names_of,
    place,
    plural,
    process_line,
    process_row,
    some,
    verdict_sentence,
    verdict_words,
)
from leakscope.report import Group, Kind, Member, Report
from leakscope.spans import moment
from leakscope.stacks import real_frames
from leakscope.timeline import timeline

TOP_GROUPS = 15
TOP_IDS = 10
TOP_GROWING = 5
SAMPLE_NAMES = 3
TOP_MEMBERS = 20
WIDEST_FUNCTION = 48  # a longer one does not push the paths of the others away


def lines(report: Report) -> Iterator[str]:
    """A report of either kind."""
    return dump_lines(report) if report.kind is Kind.DUMP else report_lines(report)


# --- a dump ---------------------------------------------------------------------------------------


def dump_lines(report: Report) -> Iterator[str]:
    """All stacks of one look, like Go's goroutine profile: equal ones once, the commonest first."""
    yield f"thread profile: {_total(report)}"
    for member in report.members:
        yield process_line(member.target, report) + _threads_of(member, report)
    shown = [group for group in report.groups if group.level is report.level and group.size]
    for group in sorted(shown, key=lambda group: (-group.size, group.id)):
        yield ""
        yield _dump_header(group)
        if report.several:
            yield f"  in {in_processes(group.by_process)}"
        if group.verdict.trend in NOTEWORTHY:
            yield from (f"  {printable(sentence)}" for sentence in group.verdict.evidence)
        yield from stack_lines(group.frames)
    if report.not_seen:
        yield ""
        yield from _not_seen_lines(report)


def _threads_of(member: Member, report: Report) -> str:
    return f" ({plural(member.threads or 0, 'thread')})" if report.several else ""


def _total(report: Report) -> str:
    return "no sample" if report.threads is None else f"total {report.threads}"


def _dump_header(group: Group) -> str:
    trend = group.verdict.trend
    word = f"  {trend.value.upper()}" if trend in NOTEWORTHY else ""
    return f"{group.size} @ {group.id}  [{doing_of(group)}]  {place(group.site)}{word}"


def stack_lines(frames: Frames) -> Iterator[str]:
    """The frames, innermost first; functions in a column."""
    rows = [(printable(frame.function), location(frame)) for frame in real_frames(frames)]
    if not rows:
        yield "#   stack not read"
    width = min(max((cell_width(function) for function, _ in rows), default=0), WIDEST_FUNCTION)
    for function, where in rows:
        yield f"#   {left(function, width)}   {where}".rstrip()


def _not_seen_lines(report: Report) -> Iterator[str]:
    return (f"not seen: {printable(line)}" for line in report.not_seen)


# --- the report of a watch ------------------------------------------------------------------------


def report_lines(report: Report) -> Iterator[str]:
    """What a watch found: the verdict, the leaks and why, the groups, what was not seen."""
    yield verdict_sentence(report)
    yield ""
    for number, leak in enumerate(report.leaks, 1):
        yield from _leak_lines(number, leak, report)
        yield ""
    yield from _growing_lines(report)
    yield from _known_lines(report)
    yield from _deadline_lines(report)
    yield from _timeline_lines(report)
    if report.groups:
        yield from _group_lines(report)
        yield ""
    yield from _member_lines(report)
    yield from _not_seen_lines(report)
    yield how_it_was_watched(report)
    if report.made_by:
        yield f"made by: {command_line(report.made_by)}"


def _leak_lines(number: int, leak: Leak, report: Report) -> Iterator[str]:
    yield (
        f"LEAK {number}  {plural(len(leak.leaked), 'thread')}  +{leak.rate_per_min:.1f}/min"
        f"  [{doing_of_leak(leak, report)}]  {place(leak.site)}"
    )
    yield from diagnosis_lines(leak.culprit, leak.cause)
    for sentence in leak.evidence:
        yield f"  {printable(sentence)}"
    if leak.site:
        yield f"  at          {location(leak.site)} {printable(leak.site.function)}"
    if leak.entry:
        yield f"  started in  {location(leak.entry)} {printable(leak.entry.function)}"
    for line in stack_lines(leak.frames):
        yield f"  {line}"
    yield f"  {'groups' if len(leak.groups) > 1 else 'group '}      {some(leak.groups, TOP_IDS)}"
    names = names_of(leak, report)
    if names:
        shown = [clipped(name, LONGEST_NAME) for name in names[:SAMPLE_NAMES]]
        yield f"  threads     {some([*shown, *names[SAMPLE_NAMES:]], SAMPLE_NAMES)}"


def diagnosis_lines(culprit: Culprit | None, cause: Cause | None) -> Iterator[str]:
    """Why, and what to do, where that is known."""
    found = diagnosis(culprit, cause)
    if found:
        yield f"  {left(found.word, 12)}{found.why}"
        yield f"  {left('cure', 12)}{found.cure}"


def _growing_lines(report: Report) -> Iterator[str]:
    """Why groups are held to grow, and what would tell more."""
    growing = growing_groups(report)
    for group in growing[:TOP_GROWING]:
        yield f"growing: {plural(group.size, 'thread')}  [{doing_of(group)}]  {place(group.site)}"
        yield from (f"  {printable(sentence)}" for sentence in group.verdict.evidence)
    if growing:
        yield ""


def _known_lines(report: Report) -> Iterator[str]:
    """What a baseline had already."""
    for known in report.known:
        yield known_line(known)
        yield f"  {printable(known.why)}"
    if report.known:
        yield ""


def _deadline_lines(report: Report) -> Iterator[str]:
    """When the leaks will hurt, and what they cost."""
    if report.deadline:
        yield f"deadline: {printable(deadline_sentence(report.deadline))}"
    cost = cost_sentence(report)
    if cost:
        yield cost
    if report.deadline or cost:
        yield ""


def _timeline_lines(report: Report) -> Iterator[str]:
    """When it all happened, where something has."""
    if not report.leaks:
        return
    for event in timeline(report):
        yield f"{moment(event.at)}  {printable(event.what)}"
    yield ""


# --- the table of groups --------------------------------------------------------------------------

_HEADINGS = ("count", "change", "peak", "verdict", "wait", "id", "where")


def _group_lines(report: Report) -> Iterator[str]:
    shown = _without_rest(by_suspicion(report), report)
    words = verdict_words(report)
    rows = [_HEADINGS, *(_row(group, words) for group in shown)]
    if report.several:
        where = ["processes", *(in_processes(group.by_process) for group in shown)]
        rows = [(*row[:-1], pids, row[-1]) for row, pids in zip(rows, where, strict=True)]
    yield from table(rows, numbers=(0, 1, 2))
    cut = len(by_suspicion(report)) - len(shown)
    if cut:
        yield f"and {plural(cut, 'smaller group')}"


def _row(group: Group, words: Mapping[str, str]) -> tuple[str, ...]:
    return (
        str(group.size),
        change(group),
        str(group.peak),
        words[group.id],
        doing_of(group),
        group.id,
        place(group.site),
    )


# --- several processes ----------------------------------------------------------------------------


def _member_lines(report: Report) -> Iterator[str]:
    """The processes, where there are several."""
    if not report.several:
        return
    members = leaking_first(report)
    rows = [process_row(member, report) for member in members[:TOP_MEMBERS]]
    yield from table([PROCESS_HEADINGS, *rows], numbers=(0, 1))
    if len(members) > TOP_MEMBERS:
        yield f"and {len(members) - TOP_MEMBERS} more"
    yield ""


def _without_rest(groups: Sequence[Group], report: Report) -> list[Group]:
    """The first of the groups, and those that a leak names wherever they stand."""
    named = leak_numbers(report)
    return [group for i, group in enumerate(groups) if i < TOP_GROUPS or group.id in named]


# --- a change, while the watch goes on ------------------------------------------------------------


def change_line(report_time_s: float, group: Group, old: Trend | None, new: Trend) -> str:
    """One line for a group whose verdict has changed; a group that is new has None before."""
    before = old.value if old else "new"
    return (
        f"{report_time_s:6.1f} s  {group.id}  {before} -> {new.value}  "
        f"{plural(group.size, 'thread')}  [{doing_of(group)}]  {place(group.site)}"
    )
