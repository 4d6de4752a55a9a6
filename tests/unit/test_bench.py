"""What the bench makes of its numbers: the bar, and the tables."""

from __future__ import annotations

from tests.bench import bar, table
from tests.bench.recordings import DAY_S, Replayed, looks
from tests.bench.slots import Slot, blocked
from tests.bench.starts import Looks, Starts
from tests.bench.tools import LEAKSCOPE, NAIVE, NOTHING

THOUSAND = blocked(1000).name


def slot(tool: str, *, cpu: float = 0.0, stall_ms: float = 10.0, work: int = 1000) -> Slot:
    """A minute of a tool."""
    return Slot(THOUSAND, tool, (cpu,), cpu, 1.0, 20 * bar.MB, (stall_ms,) * 60, (work,) * 60)


def verdicts(lines) -> dict[str, bool | None]:
    return {line.what.partition(",")[0].partition(":")[0]: line.is_met for line in lines}


def test_a_twelfth_of_the_loop_is_met_and_a_tenth_is_not():
    loop = slot(NAIVE, cpu=12.0)
    for cpu, is_met in ((0.9, True), (1.2, False)):
        first, *rest = bar.of_cpu([loop, slot(LEAKSCOPE, cpu=cpu)])
        assert first.is_met is is_met
        assert [line.is_met for line in rest] == [None] * 3


def test_the_middle_one_of_two_slots_counts():
    lines = bar.of_cpu([slot(NAIVE, cpu=4.0), slot(LEAKSCOPE, cpu=1.0), slot(NAIVE, cpu=20.0)])
    assert next(lines).is_met is True


def test_a_stall_is_held_against_the_noise():
    noise = [slot(NOTHING, stall_ms=8.0), slot(NOTHING, stall_ms=12.0, work=980)]
    assert verdicts(bar.of_target([*noise, slot(LEAKSCOPE, stall_ms=17.0)])) == {
        "longest stall": True,
        "work done": True,
    }
    assert verdicts(bar.of_target([*noise, slot(LEAKSCOPE, stall_ms=60.0, work=900)])) == {
        "longest stall": False,
        "work done": False,
    }


def test_a_dump_is_held_against_pyspy():
    lines = bar.of_starts(
        Starts(0.012, 0.052, 0.055),
        [Looks(1, 0.01, 0.01, 0.14, 0.15), Looks(1000, 0.4, 0.35, 0.5, 0.5)],
    )
    assert [line.is_met for line in lines] == [True, False, True]


def test_a_replay_is_held_against_a_start():
    day = Replayed(1000, DAY_S, 3 * bar.MB, 25.0, 23 * bar.MB)
    assert [line.is_met for line in bar.of_replays([day], 0.1)] == [False, True]


def test_tables_have_a_row_for_each_tool():
    lines = list(table.watches([slot(NOTHING), slot(NAIVE, cpu=12.0), slot(NAIVE, cpu=14.0)]))
    assert len(lines) == 2 + 2 + 1
    assert "| 13.00 |" in lines[3]
    assert {line.count("|") for line in lines[:-1]} == {10}


def test_a_recording_that_is_made_up_adds_up():
    made = list(looks(10, 31, 10))
    assert [len(look.began) for look in made if look.began] == [10, 1, 1, 1]
    assert made[-1].os_threads == 13
    assert all(len(look.ran) == 5 for look in made[1:])
