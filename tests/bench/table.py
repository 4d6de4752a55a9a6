"""What was measured, as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from tests.bench.bar import MB, Line
from tests.bench.recordings import Replayed
from tests.bench.slots import Slot, of
from tests.bench.starts import Looks, Starts


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table, and an empty line."""
    yield _row(headings)
    yield _row(["---"] * len(headings))
    yield from map(_row, rows)
    yield ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def watches(slots: Sequence[Slot]) -> Iterator[str]:
    """A row for each scenario and tool."""
    pairs = dict.fromkeys((slot.scenario, slot.tool) for slot in slots)
    yield from table(
        ("threads", "tool", "CPU s a minute", "before that", "looks a second", "longest stall",
         "median stall", "work a second", "peak memory"),
        [_of_tool(scenario, tool, of(slots, scenario, tool)) for scenario, tool in pairs],
    )  # fmt: skip


def _of_tool(scenario: str, tool: str, slots: Sequence[Slot]) -> list[str]:
    stalls = [stall for slot in slots for stall in slot.stalls_ms]
    work = [units for slot in slots for units in slot.work_per_s]
    rates = [slot.looks_per_s for slot in slots if slot.looks_per_s is not None]
    looks = bool(rates)
    return [
        scenario,
        tool,
        f"{median(slot.cpu for slot in slots):.2f}" if looks else "",
        f"{median(slot.first_cpu_s for slot in slots):.2f}" if looks else "",
        f"{median(rates):.2f}" if looks else "",
        f"{max(stalls, default=0.0):.1f} ms",
        f"{median(stalls or [0.0]):.1f} ms",
        f"{median(work or [0]):,.0f}",
        f"{max(slot.peak_bytes for slot in slots) / MB:.0f} MB" if looks else "",
    ]


def looks(seen: Sequence[Looks]) -> Iterator[str]:
    """One look, for each number of threads."""
    yield from table(
        ("threads", "`py-spy dump --json`", "with `--nonblocking`", "`leakscope dump`",
         "`leakscope dump --json`"),
        [
            [str(one.threads), *map(_ms, (one.pyspy, one.pyspy_nonblocking, one.leakscope,
                                         one.leakscope_json))]
            for one in seen
        ],
    )  # fmt: skip


def starts(took: Starts) -> str:
    """Start-up in a sentence."""
    return (
        f"Start-up: `leakscope --version` {_ms(took.version)}, `leakscope --help` "
        f"{_ms(took.help)}, `python -c pass` {_ms(took.python)}."
    )


def recordings(sizes: dict[str, float], replays: Sequence[Replayed]) -> Iterator[str]:
    """How recordings grow, and how they replay."""
    each = ", ".join(f"{name} {size / MB:.2f} MB" for name, size in sizes.items())
    if each:
        yield f"Recordings (`.jsonl.gz`) grow in an hour by: {each}."
        yield ""
    yield from table(
        ("recording", "size", "replay", "peak memory"),
        [
            [
                f"{one.seconds / 3600:g} h of {one.threads} threads, made up",
                f"{one.bytes / MB:.2f} MB",
                f"{one.took_s:.2f} s",
                f"{one.peak_bytes / MB:.0f} MB",
            ]
            for one in replays
        ],
    )


def bar(lines: Iterable[Line]) -> Iterator[str]:
    """The bar."""
    yield from table(
        ("wanted", "measured", ""), [[line.what, line.measured, line.verdict] for line in lines]
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
