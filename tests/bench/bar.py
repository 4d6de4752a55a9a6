"""The bar that leakscope is held against, each line with what was measured and met or not met."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.recordings import DAY_S, HOUR_S, Replayed
from tests.bench.slots import TURNOVER, Slot, blocked, cpu_of, leakscope_slot, of
from tests.bench.starts import Looks, Starts
from tests.bench.tools import NAIVE, NOTHING

MB = 1_000_000

# By what leakscope's share of the loop's CPU time is at most.
CPU_SHARES = (
    (blocked(1000).name, 1 / 12),
    (blocked(4000).name, 1 / 25),
    (TURNOVER.name, 1.0),
)
TICKS_HELD_PER_S = 0.97

# A stall stands out when it is half as long again as the longest that there was without anyone
# looking, and by more than the interpreter gives each thread at a time (5 ms).
STALL_RATIO = 1.5
STALL_MORE_MS = 5.0
LEAST_WORK = 0.95


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bar."""

    what: str
    measured: str
    is_met: bool | None  # None where it was not measured

    @property
    def verdict(self) -> str:
        return {True: "met", False: "NOT MET", None: "not measured"}[self.is_met]


def of_cpu(slots: Sequence[Slot]) -> Iterator[Line]:
    """CPU time in steady state, against the loop."""
    for scenario, share in CPU_SHARES:
        what = f"CPU, {scenario}: at most {share:.3f} of the loop's"
        ours, slot = cpu_of(slots, scenario, NAIVE), leakscope_slot(slots, scenario)
        if not ours or slot is None:
            yield Line(what, "", None)
            continue
        ratio = slot.cpu / ours
        yield Line(what, f"{ratio:.3f} ({slot.cpu:.2f} s of {ours:.2f} s a minute)", ratio <= share)
    slot = leakscope_slot(slots, blocked(4000).name)
    held = slot.looks_per_s if slot else None
    yield Line(
        "a tick each second at 4000 threads",
        "" if held is None else f"{held:.3f} a second",
        None if held is None else held >= TICKS_HELD_PER_S,
    )


def of_target(slots: Sequence[Slot]) -> Iterator[Line]:
    """What the process feels, against the noise of when nothing looks."""
    for scenario in dict.fromkeys(slot.scenario for slot in slots):
        slot, noise = leakscope_slot(slots, scenario), of(slots, scenario, NOTHING)
        if slot is None or not noise or not slot.stalls_ms:
            continue
        floor_ms = max(stall for one in noise for stall in one.stalls_ms)
        # As many seconds as the noise was listened to: in more of them there is more to hear.
        heard = max(len(one.stalls_ms) for one in noise)
        stall_ms = median(
            max(slot.stalls_ms[n : n + heard])
            for n in range(0, max(len(slot.stalls_ms) - heard, 0) + 1, heard)
        )
        yield Line(
            f"longest stall, {scenario}: that of the noise",
            f"{stall_ms:.1f} ms, noise {floor_ms:.1f} ms",
            stall_ms <= max(floor_ms * STALL_RATIO, floor_ms + STALL_MORE_MS),
        )
        work = median(slot.work_per_s) / min(median(one.work_per_s) for one in noise)
        yield Line(f"work done, {scenario}: that of the noise", f"{work:.3f}", work >= LEAST_WORK)


def of_starts(starts: Starts, looks: Sequence[Looks]) -> Iterator[Line]:
    """Commands that end at once."""
    more_ms = 1000 * (starts.version - starts.python)
    yield Line("`--version`: at most 80 ms more than Python", f"{more_ms:.0f} ms", more_ms <= 80)
    for look in looks:
        if look.threads == 1:
            more_ms = 1000 * (look.leakscope - look.pyspy)
            yield Line(
                "`dump` of 1 thread: at most 120 ms more than py-spy",
                f"{more_ms:.0f} ms",
                more_ms <= 120,
            )
        if look.threads == 1000:
            ratio = look.leakscope / look.pyspy
            nonblocking = look.leakscope / look.pyspy_nonblocking
            yield Line(
                "`dump` of 1000 threads: at most 1.3 times py-spy's",
                f"{ratio:.2f} ({nonblocking:.2f} times its --nonblocking)",
                ratio <= 1.3,
            )


def of_replays(replays: Sequence[Replayed], start_s: float) -> Iterator[Line]:
    """Recordings: how large, how fast, with how much memory."""
    for one in replays:
        if (one.threads, one.seconds) == (1000, 60):
            more_s = one.took_s - start_s
            yield Line(
                "replay of 60 s of 1000 threads: at most 0.3 s more than of one look",
                f"{more_s:.2f} s",
                more_s <= 0.3,
            )
        if (one.threads, one.seconds) == (1000, DAY_S):
            yield Line(
                "replay of a day of 1000 threads: at most 20 s",
                f"{one.took_s:.1f} s",
                one.took_s <= 20,
            )
            yield Line(
                "recording of that day: at most 20 MB",
                f"{one.bytes / MB:.1f} MB",
                one.bytes <= 20 * MB,
            )
        if (one.threads, one.seconds) == (4000, HOUR_S):
            yield Line(
                "peak memory of an hour at 4000 threads: at most 80 MB",
                f"{one.peak_bytes / MB:.0f} MB",
                one.peak_bytes <= 80 * MB,
            )
