"""A report as Markdown: an incident report to paste where people talk about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from leakscope.leaks import Leak
from leakscope.limits import deadline_sentence
from leakscope.printable import clipped, printable
from leakscope.renderers.text import TOP_MEMBERS, stack_lines
from leakscope.renderers.wording import (
    LONGEST_NAME,
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
    known_line,
    leaking_first,
    names_of,
    place,
    plural,
    process_line,
    process_row,
    some,
    verdict_sentence,
    verdict_words,
    whole_place,
)
from leakscope.report import Group, Kind, Report
from leakscope.spans import moment
from leakscope.timeline import timeline

# Enough to see what else there is; all of them are in the JSON.
TOP_GROUPS = 10
TOP_STACKS = 5  # of a single look, where no leak says which matter
SAMPLE_NAMES = 3


def lines(report: Report) -> Iterator[str]:
    """Summary, timeline, each leak with why, cure, evidence and stack, the groups, the rest."""
    yield f"# {escaped(_title(report))}"
    yield ""
    yield from _summary(report)
    yield from _processes(report)
    if report.leaks:
        yield from _timeline(report)
    for number, leak in enumerate(report.leaks, 1):
        yield from _leak(number, leak, report)
    yield from _growing(report)
    for known in report.known:
        yield from ("", escaped(f"{known_line(known)}. {known.why}"))
    yield from _groups(report)
    if report.kind is Kind.DUMP:
        yield from _stacks(report)
    if report.not_seen:
        yield from ("", "## What was not seen", "")
        yield from (f"- {escaped(line)}" for line in report.not_seen)
    if report.made_by:
        yield from ("", f"Made by {code(command_line(report.made_by))}.")


def _title(report: Report) -> str:
    if report.kind is Kind.DUMP:
        return f"Threads: {report.threads}"
    return verdict_sentence(report)


def _summary(report: Report) -> Iterator[str]:
    if report.several:
        yield f"- Processes: {len(report.several)}"
    else:
        yield from (f"- Process: {code(process_line(one, report))}" for one in report.targets)
    if report.threads is not None:
        yield f"- Threads: {report.threads}"
    if report.deadline:
        yield f"- Limit: {escaped(deadline_sentence(report.deadline))}"
    cost = cost_sentence(report)
    if cost:
        yield f"- Cost: {escaped(cost)}"
    yield f"- How: {escaped(how_it_was_watched(report))}"


def _processes(report: Report) -> Iterator[str]:
    """What each of several processes came to."""
    if not report.several:
        return
    yield from ("", "## Processes", "")
    members = leaking_first(report)
    rows = [process_row(member, report) for member in members[:TOP_MEMBERS]]
    yield from table(
        PROCESS_HEADINGS, [(*row[:-1], in_table(code(row[-1] or "-"))) for row in rows]
    )
    more = len(members) - TOP_MEMBERS
    if more > 0:
        yield from ("", f"and {more} more")


def _timeline(report: Report) -> Iterator[str]:
    yield from ("", "## Timeline", "")
    rows = [(moment(event.at), escaped(event.what)) for event in timeline(report)]
    yield from table(("when (UTC)", "what"), rows)


def _leak(number: int, leak: Leak, report: Report) -> Iterator[str]:
    threads = plural(len(leak.leaked), "thread")
    yield ""
    yield f"## Leak {number}: {threads}, {leak.rate_per_min:.1f} more a minute"
    yield ""
    yield f"- Where: {code(whole_place(leak.site))}, {escaped(doing_of_leak(leak, report))}"
    if leak.entry:
        yield f"- Started in: {code(whole_place(leak.entry))}"
    yield from _diagnosis(leak)
    names = names_of(leak, report)
    if names:
        shown = [code(clipped(name, LONGEST_NAME)) for name in names[:SAMPLE_NAMES]]
        yield f"- Threads: {some([*shown, *names[SAMPLE_NAMES:]], SAMPLE_NAMES)}"
    yield f"- Group: {code(leak.id)}"
    yield from ("", "Evidence:", "")
    yield from (f"- {prose(sentence)}" for sentence in leak.evidence)
    yield from ("", "Stack, innermost first:", "")
    yield from fenced(stack_lines(leak.frames))


def _diagnosis(leak: Leak) -> Iterator[str]:
    found = diagnosis(leak.culprit, leak.cause)
    if found:
        yield f"- {found.word.capitalize()}: {prose(found.why)}"
        yield f"- Cure: {prose(found.cure)}"


def _growing(report: Report) -> Iterator[str]:
    growing = growing_groups(report)
    if growing:
        yield from ("", "## What grows, and is not proven to leak", "")
    for group in growing[:TOP_GROUPS]:
        yield f"- {plural(group.size, 'thread')} in {code(place(group.site))}"
        yield from (f"  - {prose(sentence)}" for sentence in group.verdict.evidence)


def _groups(report: Report) -> Iterator[str]:
    groups = by_suspicion(report)
    if not groups:
        return
    words = verdict_words(report)
    yield from ("", "## Groups of threads", "")
    yield from table(
        ("threads", "change", "verdict", "state", "where", "group"),
        [
            (
                str(group.size),
                change(group),
                words[group.id],
                escaped(doing_of(group)),
                in_table(code(place(group.site))),
                code(group.id),
            )
            for group in groups[:TOP_GROUPS]
        ],
    )
    more = len(groups) - TOP_GROUPS
    if more > 0:
        yield from ("", f"and {plural(more, 'more group')}")


def _stacks(report: Report) -> Iterator[str]:
    shown: list[Group] = by_suspicion(report)[:TOP_STACKS]
    for group in shown:
        yield from ("", f"### {plural(group.size, 'thread')}: {code(place(group.site))}", "")
        yield from fenced(stack_lines(group.frames))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows of Markdown below headings."""
    for row in (headings, ["---"] * len(headings), *rows):
        yield f"| {' | '.join(row)} |"


def in_table(text: str) -> str:
    """Within a cell, a bar ends it, even in code."""
    return text.replace("|", "\\|")


# --- text that stays text -------------------------------------------------------------------------

# What begins markup, HTML, a link, an entity or formulas, anywhere in a line; within a word an
# underscore begins nothing.
_MARKUP = re.compile(r"[\\`*{}\[\]<>#|&~$]|(?<!\w)_|_(?!\w)")
_CODE = re.compile(r"`([^`]+)`")


def escaped(text: str) -> str:
    """A text as it reads, whatever it is: no markup, no HTML, no one is called by `@name`."""
    plain = _MARKUP.sub(r"\\\g<0>", printable(text))
    # An empty comment, which no reader shows, parts what would become a mention or a link.
    return plain.replace("@", "@<!-- -->").replace("://", ":<!-- -->//")


def prose(text: str) -> str:
    """A sentence, in which what stands between backticks is code."""
    parts = _CODE.split(text)
    return "".join(code(part) if n % 2 else escaped(part) for n, part in enumerate(parts))


def code(text: str) -> str:
    """A text as code: within as many backticks as it takes for none in it to end it."""
    text = printable(text) or " "
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    inner = f" {text} " if text[0] in "` " or text[-1] in "` " else text
    return f"{fence}{inner}{fence}"


def fenced(texts: Iterable[str]) -> Iterator[str]:
    """Lines as a block of code, between fences that none of them can close."""
    shown = list(texts)
    longest = max((len(run) for line in shown for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(longest + 1, 3)
    yield f"{fence}text"
    yield from shown
    yield fence
