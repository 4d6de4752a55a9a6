"""All that is known of one group, as lines of plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leakscope.accounts import Account, KnownAlready, KnownLeak, KnownThread
from leakscope.limits import deadline_sentence
from leakscope.printable import clipped, printable
from leakscope.renderers.columns import table
from leakscope.renderers.sparkline import ASCII_BLOCKS, BLOCKS, sparkline
from leakscope.renderers.text import stack_lines
from leakscope.renderers.wording import LONGEST_NAME, location, place, plural
from leakscope.spans import duration

WIDEST_SPARKLINE = 60
_BASES = {"watched": "while watched", "births": "by when its threads were started"}
TOP_THREADS = 20  # the oldest; the JSON has all


def lines(account: Account, *, unicode: bool = True) -> Iterator[str]:
    """What it is, how it went, why it leaks and what to do, its stack, its oldest threads."""
    yield (
        f"group {printable(account.id)}: {plural(account.size, 'thread')}, "
        f"{printable(account.verdict)}  [{_doing(account)}]  {place(account.site)}"
    )
    if not account.leaks and not any(known.evidence for known in account.known):
        # Those say the same, and more.
        yield from (f"  {printable(sentence)}" for sentence in account.evidence)
    if account.site:
        yield f"  at          {location(account.site)} {printable(account.site.function)}"
    if account.entry:
        yield f"  started in  {location(account.entry)} {printable(account.entry.function)}"
    yield ""
    yield from _leaks(account)
    yield from _known(account)
    yield from _history(account, unicode=unicode)
    yield "stack, innermost first"
    yield from (f"  {line}" for line in stack_lines(account.frames))
    yield from _threads(account.threads)


def _doing(account: Account) -> str:
    states = [f"{number} {state}" for state, number in account.states.items() if number]
    return ", ".join([*([printable(account.wait)] if account.wait else []), *states]) or "-"


def _leaks(account: Account) -> Iterator[str]:
    for leak in account.leaks:
        basis = _BASES.get(leak.rate_basis, printable(leak.rate_basis))
        yield (
            f"leak {leak.number} of the report: {plural(leak.threads, 'thread')}, "
            f"+{leak.rate_per_min:.1f}/min ({basis})"
        )
        yield from (f"  {printable(sentence)}" for sentence in leak.evidence)
        yield from _diagnosis(leak)
        yield ""
    if account.deadline:
        yield f"deadline: {printable(deadline_sentence(account.deadline))}"
        yield ""


def _known(account: Account) -> Iterator[str]:
    """What is no leak of the report because a baseline had it already."""
    for known in account.known:
        rate = "" if known.rate_per_min is None else f", {known.rate_per_min:+.1f}/min"
        since = "" if known.since is None else f" since {printable(known.since)}"
        yield f"known{since}: {plural(known.threads, 'thread')}{rate}"
        yield f"  {printable(known.known_by)}"
        yield from (f"  {printable(sentence)}" for sentence in known.evidence)
        yield from _diagnosis(known)
        yield ""


def _diagnosis(leak: KnownLeak | KnownAlready) -> Iterator[str]:
    if leak.why:
        yield f"  why         {printable(leak.why)}"
    if leak.cure:
        yield f"  cure        {printable(leak.cure)}"


def _history(account: Account, *, unicode: bool) -> Iterator[str]:
    if account.observed_s:
        yield (
            f"watched for {duration(account.observed_s)} ({plural(account.samples, 'sample')}), "
            f"until {printable(account.ended_at or 'an unknown time')}"
        )
    else:
        yield f"looked at once, {printable(account.ended_at or 'at an unknown time')}"
    if len(account.points) > 1:
        began_s, now_s = account.points[0].elapsed_s, account.points[-1].elapsed_s
        blocks = BLOCKS if unicode else ASCII_BLOCKS
        yield f"  {sparkline(account.points, now_s, began_s, WIDEST_SPARKLINE, blocks=blocks)}"
        rate = "" if account.rate_per_min is None else f", {account.rate_per_min:+.1f}/min"
        yield f"  from {account.first} to {account.size}, at most {account.peak}{rate}"
        yield (
            f"  {account.arrived} came here ({account.born} of them born), "
            f"{account.departed} left ({account.ended} of them ended)"
        )
    for turn in account.turns:
        yield (
            f"  {printable(turn.at)}  {printable(turn.was or 'new')} -> "
            f"{printable(turn.verdict)}, {plural(turn.size, 'thread')}"
        )
    if len(account.by_process) > 1:
        where = ", ".join(f"{printable(pid)}: {size}" for pid, size in account.by_process.items())
        yield f"  by process: {where}"
    yield ""


def _threads(threads: Sequence[KnownThread]) -> Iterator[str]:
    if not threads:
        return
    ordered = sorted(threads, key=lambda thread: -(thread.age_s or 0.0))
    yield ""
    rows = [("age", "pid", "tid", "state", "name"), *map(_row, ordered[:TOP_THREADS])]
    yield from table(rows, numbers=(0, 1, 2))
    if len(threads) > TOP_THREADS:
        yield f"and {len(threads) - TOP_THREADS} younger"


def _row(thread: KnownThread) -> tuple[str, ...]:
    return (
        "?" if thread.age_s is None else duration(thread.age_s),
        str(thread.pid),
        "?" if thread.tid is None else str(thread.tid),
        printable(thread.wait or thread.state),
        clipped(printable(thread.name or "-"), LONGEST_NAME),
    )
