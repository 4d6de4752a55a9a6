"""Measures what it costs to watch: `python -m tests.bench.run`, about 100 minutes.

Nothing else should run meanwhile. It writes what it measured into the README if it measured all.
"""

from __future__ import annotations

import argparse
import compileall
import datetime
import os
import platform
import re
import signal
import sys
from collections.abc import Iterator, Sequence

from tests.bench import bar, table
from tests.bench.recordings import DAY_S, HOUR_S, Replayed, replayed
from tests.bench.slots import (
    LONG,
    SCENARIOS,
    Scenario,
    Slot,
    Times,
    recording_bytes_per_hour,
    short,
    slots,
)
from tests.bench.starts import Looks, Starts, looks, starts
from tests.bench.tools import ROOT, Tool, tools

README = ROOT / "README.md"
MARKS = ("<!-- bench -->", "<!-- /bench -->")
PARTS = ("starts", "replays", "watches")
# (threads, times): the more threads, the longer a dump, and the less it varies.
LOOKS = ((1, 15), (100, 15), (1000, 15), (4000, 5))


class Measured:
    """All that has been measured, as far as it goes."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.sizes: dict[str, float] = {}
        self.starts: Starts | None = None
        self.looks: list[Looks] = []
        self.one_look: Replayed | None = None
        self.replays: list[Replayed] = []

    def lines(self) -> Iterator[bar.Line]:
        """The lines of the bar that can be held against it."""
        if self.slots:
            yield from bar.of_cpu(self.slots)
            yield from bar.of_target(self.slots)
        if self.starts:
            yield from bar.of_starts(self.starts, self.looks)
        if self.one_look:
            yield from bar.of_replays(self.replays, self.one_look.took_s)

    def text(self, how: str) -> str:
        """The tables."""
        said = [how, ""]
        if self.slots:
            said += table.watches(self.slots)
        if self.starts:
            said += [*table.looks(self.looks), table.starts(self.starts), ""]
        if self.replays:
            said += table.recordings(self.sizes, self.replays)
        return "\n".join([*said, *table.bar(self.lines())]).strip()


def measure_starts(measured: Measured) -> None:
    """Commands that end at once."""
    measured.starts = starts()
    for threads, times in LOOKS:
        say(f"dump of {threads} threads")
        measured.looks.append(looks(threads, times))


def measure_replays(measured: Measured) -> None:
    """Recordings that are made up."""
    measured.one_look = replayed(1, 1)
    for threads, seconds, new_every_s in ((1000, 60, 10), (1000, DAY_S, None), (4000, HOUR_S, 10)):
        say(f"replay of {seconds} s of {threads} threads")
        measured.replays.append(replayed(threads, seconds, new_every_s=new_every_s))


def measure_watches(
    measured: Measured, scenarios: Sequence[Scenario], found: Sequence[Tool], times: Times
) -> None:
    """Each tool in turn at each scenario."""
    for scenario in scenarios:
        for slot in slots(scenario, found, times):
            say(
                f"{slot.scenario:16} {slot.tool:22} {slot.cpu:7.2f} CPU s a minute, longest stall "
                f"{max(slot.stalls_ms, default=0):.1f} ms"
            )
            measured.slots.append(slot)
        measured.sizes[scenario.name] = recording_bytes_per_hour(scenario, times.loop_s)


def how_it_was_measured(times: Times) -> str:
    """When and on what, in words."""
    today = datetime.date.today()
    return (
        f"Measured on {today.day} {today:%B %Y}, {platform.system()} {_kernel()} on "
        f"{platform.machine()} with {os.cpu_count()} cores, Python {platform.python_version()} "
        f"(`make bench`). Each tool had a process of its own to look at, one after the other; "
        f"leakscope was measured for {times.watch_s:g} s after its first {times.start_s:g} s, the "
        f"others for {times.loop_s:g} s. A stall is how long a thread of the process that never "
        "waits was kept from its work; the longest one of each second counts."
    )


def _kernel() -> str:
    return platform.release().partition("-")[0]


def write(text: str) -> None:
    """Put the tables into the README, between their marks."""
    readme = README.read_text(encoding="utf-8")
    marked = re.compile(f"{MARKS[0]}.*?{MARKS[1]}", re.S)
    if not marked.search(readme):
        sys.exit(f"the README has no {MARKS[0]}")
    block = f"{MARKS[0]}\n{text}\n{MARKS[1]}"
    README.write_text(marked.sub(lambda _: block, readme), encoding="utf-8")


def say(text: str) -> None:
    """Tell how far it is."""
    print(f"{datetime.datetime.now():%H:%M:%S}  {text}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, help="of each watch: less than it takes to judge")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; repeatable")
    parser.add_argument("--scenario", action="append", help="by its name; repeatable")
    parser.add_argument("--no-readme", action="store_true", help="leave the README as it is")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, in good order
    compileall.compile_dir(ROOT / "leakscope", quiet=2)
    parts = options.only or PARTS
    times = short(options.seconds) if options.seconds else LONG
    chosen = [one for one in SCENARIOS if one.name in (options.scenario or [one.name])]
    measured = Measured()
    try:
        if "starts" in parts:
            measure_starts(measured)
        if "replays" in parts:
            measure_replays(measured)
        if "watches" in parts:
            measure_watches(measured, chosen, tools(), times)
    except KeyboardInterrupt:
        say("interrupted: this is what was measured until then")
        print(measured.text(how_it_was_measured(times)))
        sys.exit(130)
    text = measured.text(how_it_was_measured(times))
    print(text)
    is_whole = not (options.only or options.scenario or options.seconds)
    if is_whole and not options.no_readme:
        write(text)
    sys.exit(any(line.is_met is False for line in measured.lines()))


if __name__ == "__main__":
    main()
