"""One tool looks at one process for a while; what that costs, and what the process feels."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.processes import Working, cpu_s, peak_bytes, working
from tests.bench.tools import LEAKSCOPE, Tool, leakscope
from tests.running import Target, running

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A process to look at."""

    name: str
    arguments: tuple[str, ...]


def blocked(threads: int) -> Scenario:
    """That many blocked threads, one more every 10 s, five that work, and one that measures."""
    return Scenario(
        f"{threads} blocked",
        ("--spin", "--threads", str(threads), "--workers", "5", "--new-every", "10"),
    )


TURNOVER = Scenario(
    "300 in turnover", ("--spin", "--threads", "300", "--workers", "5", "--starts", "20")
)
# Where watching is dearest comes first: something that is wrong shows there the soonest.
SCENARIOS = (blocked(4000), TURNOVER, blocked(1000), blocked(100), blocked(10))


@dataclass(frozen=True, slots=True)
class Times:
    """How long to measure."""

    start_s: float  # from the start of a watch of leakscope's to its steady state
    watch_s: float  # of a watch of leakscope's, from there on
    loop_s: float  # of anything else, which is the same from its first look on
    loop_start_s: float = 2.0


LONG = Times(start_s=60, watch_s=300, loop_s=60)


def short(seconds: float) -> Times:
    """For a first look at the numbers: a steady state needs a minute, and has less here."""
    return Times(start_s=max(seconds / 2, 5), watch_s=seconds, loop_s=seconds)


@dataclass(frozen=True, slots=True)
class Slot:
    """What one tool cost in one scenario."""

    scenario: str
    tool: str
    cpu_per_min: tuple[float, ...]  # CPU seconds in each minute, or in the time there was
    first_cpu_s: float  # until it was steady
    looks_per_s: float | None
    peak_bytes: int  # of the tool itself, without what it starts
    stalls_ms: tuple[float, ...]  # the longest one in each second
    work_per_s: tuple[int, ...]

    @property
    def cpu(self) -> float:
        """CPU seconds a minute, in the middle one of the minutes."""
        return median(self.cpu_per_min)


def slots(scenario: Scenario, tools: Sequence[Tool], times: Times) -> Iterator[Slot]:
    """Each tool in turn, each with a new process to look at."""
    for tool in tools:
        with running("under_watch.py", *scenario.arguments) as target:
            yield _slot(scenario, tool, target, times)


def _slot(scenario: Scenario, tool: Tool, target: Target, times: Times) -> Slot:
    start_s = times.start_s if tool.is_leakscope else times.loop_start_s
    measured_s = times.watch_s if tool.is_leakscope else times.loop_s
    with _looking(tool, target.pid) as at_work:
        began_s = time.monotonic()
        time.sleep(start_s)
        pid = at_work.pid if at_work else None
        first_cpu_s = cpu_s(pid) if pid else 0.0
        target.tell("measure")
        per_min = tuple(_cpu_per_min(pid, measured_s))
        seconds = json.loads(target.tell("measured"))
        peak = peak_bytes(pid) if pid else 0
        took_s = time.monotonic() - began_s
        looks = _looks(tool, at_work.finish()) if at_work else None
    return Slot(
        scenario.name,
        tool.name,
        per_min,
        first_cpu_s,
        None if looks is None else looks / took_s,
        peak,
        tuple(stall for stall, _ in seconds),
        tuple(work for _, work in seconds),
    )


def _looking(tool: Tool, pid: int) -> AbstractContextManager[Working | None]:
    return working((*tool.command, str(pid))) if tool.command else nullcontext()


def _cpu_per_min(pid: int | None, seconds: float) -> Iterator[float]:
    """CPU seconds a minute, minute by minute; a rest of less than a minute is scaled up."""
    end_s = time.monotonic() + seconds
    while (left_s := end_s - time.monotonic()) > MINUTE_S / 10 or left_s == seconds:
        began_s, before_s = time.monotonic(), cpu_s(pid) if pid else 0.0
        time.sleep(min(MINUTE_S, left_s))
        used_s = (cpu_s(pid) if pid else 0.0) - before_s
        yield used_s * MINUTE_S / (time.monotonic() - began_s)


def _looks(tool: Tool, said: str) -> int:
    """How often it looked: a loop says so each time, leakscope at its end."""
    if not tool.is_leakscope:
        return said.count("look 0\n")
    counted = re.search(r"(\d+) samples?\b", said)
    if counted is None:
        raise AssertionError(f"{tool.name} did not work: {said[-500:]}")
    return int(counted[1])


def recording_bytes_per_hour(scenario: Scenario, seconds: float) -> float:
    """How fast a recording grows, once it holds what was there at the start."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running("under_watch.py", *scenario.arguments) as target,
    ):
        path = Path(folder) / "watch.jsonl.gz"
        command = (*leakscope("watch", "--quiet", "--record", str(path)), str(target.pid))
        with working(command):
            time.sleep(max(seconds / 2, 5))
            before, began_s = path.stat().st_size, time.monotonic()
            time.sleep(seconds)
            grown = path.stat().st_size - before
            return grown * 3600 / (time.monotonic() - began_s)


def of(slots: Sequence[Slot], scenario: str, tool: str) -> list[Slot]:
    """The slots of one tool in one scenario."""
    return [slot for slot in slots if (slot.scenario, slot.tool) == (scenario, tool)]


def cpu_of(slots: Sequence[Slot], scenario: str, tool: str) -> float | None:
    """CPU seconds a minute; the median where a tool had several slots."""
    found = of(slots, scenario, tool)
    return median(slot.cpu for slot in found) if found else None


def leakscope_slot(slots: Sequence[Slot], scenario: str) -> Slot | None:
    """That of leakscope's usual way."""
    found = of(slots, scenario, LEAKSCOPE)
    return found[0] if found else None
