"""What was seen, kept as numbers that add up, in memory that does not grow with time."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leakscope.changes import Differ
from leakscope.engine import Engine
from leakscope.facts import GroupFacts, Point
from leakscope.history import MAX_LEFT, MAX_PLACES, MAX_POINTS, MAX_VARIANTS, History, thinned
from leakscope.model import RunState, Snapshot, ThreadKey, ThreadSample
from leakscope.stacks import Level, group_id
from tests.samples import (
    EXECUTOR_IDLE,
    FLUSHER,
    MAIN,
    PID,
    QUEUE_GET,
    REQUEST,
    key,
    own,
    snapshot,
    started,
    thread,
)

BUSY = tuple(started(own(f"step_{n}", line=n), own("spin")) for n in range(3))
STACKS = (QUEUE_GET, REQUEST, EXECUTOR_IDLE, FLUSHER, *BUSY, MAIN, ())


def history_of(snapshots: Iterable[Snapshot]) -> History:
    """The history after these snapshots."""
    history, differ = History(Level), Differ()
    for sample in snapshots:
        history.observe(differ.changes(sample))
    return history


def facts_of(*looks: Iterable[ThreadSample], frames=QUEUE_GET, level=Level.FUNCTION) -> GroupFacts:
    """What is known of the group of this stack after these looks, one a second."""
    history = history_of(snapshot(*look, at=at) for at, look in enumerate(looks))
    wanted = group_id(frames, level)
    return next(facts for facts in history.facts(level) if facts.id == wanted)


LOOKS = st.lists(
    st.dictionaries(st.integers(1, 8), st.sampled_from(STACKS), max_size=8), min_size=1, max_size=12
)


@given(LOOKS)
def test_counts_add_up(looks):
    """Random threads start, move and end; at each level every thread is in one group."""
    history, differ = History(Level), Differ()
    seen: list[set[int]] = []
    for at, look in enumerate(looks):
        threads = [thread(number, frames) for number, frames in look.items()]
        history.observe(differ.changes(snapshot(*threads, at=at)))
        seen.append(set(look))
        newborn = sum(len(now - before) for before, now in pairwise(seen))
        gone = sum(len(before - now) for before, now in pairwise(seen))
        for level in Level:
            groups = history.facts(level)
            assert sum(facts.size for facts in groups) == len(threads) == len(history.tracks)
            assert sum(facts.first for facts in groups) == len(seen[0])
            assert sum(facts.born for facts in groups) == newborn
            assert sum(facts.ended for facts in groups) == gone
            for facts in groups:
                assert facts.size == facts.first + facts.arrived - facts.departed
                assert facts.born <= facts.arrived
                assert facts.ended <= facts.departed
                assert facts.peak == max(point.size for point in facts.points)
                assert facts.points[-1].size == facts.size
                assert all(stay.frames or not facts.frames for stay in facts.stays)


@given(LOOKS)
def test_groups_are_listed_biggest_first(looks):
    snapshots = (
        snapshot(*(thread(number, frames) for number, frames in look.items()), at=at)
        for at, look in enumerate(looks)
    )
    history = history_of(snapshots)
    for level in Level:
        sizes = [facts.size for facts in history.facts(level)]
        assert sizes == sorted(sizes, reverse=True)


def test_those_that_were_there_at_first_did_not_arrive():
    facts = facts_of([thread(1), thread(2)], [thread(1), thread(2), thread(3)])
    assert (facts.first, facts.arrived, facts.born) == (2, 1, 1)
    assert [stay.from_start for stay in facts.stays] == [True, True, False]


def test_a_thread_that_moved_departed_but_did_not_end():
    looks = [thread(1)], [thread(1, REQUEST)], [thread(1)]
    facts = facts_of(*looks)
    assert (facts.first, facts.arrived, facts.departed) == (1, 1, 1)
    assert (facts.born, facts.ended) == (0, 0)
    assert facts.stays[0].visits == 2


def test_a_thread_that_only_changes_lines_stays():
    elsewhere = started(*QUEUE_GET[:2], own(line=99))
    facts = facts_of([thread(1)], [thread(1, elsewhere)])
    assert (facts.arrived, facts.departed, facts.stays[0].visits) == (0, 0, 1)


def test_age_is_the_kernels_where_it_is_known():
    looks = [thread(1, born_s=-60.0)], [thread(1, born_s=-60.0), thread(2)]
    assert [stay.began_s for stay in facts_of(*looks).stays] == [-60.0, 1.0]


def test_a_group_shows_its_commonest_stack():
    rare, common = started(own(line=1)), started(own(line=2))
    looks = [thread(1, rare), thread(2, common), thread(3, common)]
    assert facts_of(looks, frames=rare).frames == common


def test_looks_that_found_a_thread_running_or_waiting():
    running = thread(1, BUSY[0], state=RunState.RUNNING)
    looks = [thread(1)], [running], [running], [thread(1)], [thread(1)]
    stay = facts_of(*looks).stays[0]
    assert (stay.running_share, stay.waiting_share) == (0.5, 0.5)


def test_rests_between_runs():
    counts = (1, 1, 1, 2, 3, 3)
    stay = facts_of(*([thread(1, runs=runs)] for runs in counts)).stays[0]
    assert (stay.looks, stay.ran_looks) == (5, 2)
    assert (stay.mean_rest_s, stay.rest_spread_s, stay.last_ran_s) == (2.0, 1.0, 4.0)


def test_what_a_thread_did_on_its_way_into_a_group_is_no_sign_of_use():
    looks = [thread(1, REQUEST, runs=1)], [thread(1, runs=9)], [thread(1, runs=9)]
    stay = facts_of(*looks).stays[0]
    assert (stay.looks, stay.ran_looks) == (2, 0)


def test_thinning_keeps_both_ends_and_all_that_is_recent():
    points = [Point(float(i), i) for i in range(601)]
    fewer = thinned(points)
    assert fewer[0] == points[0]
    assert fewer[-300:] == points[-300:]
    assert 0.7 * len(points) < len(fewer) < 0.8 * len(points)
    assert fewer == sorted(fewer)


def test_memory_does_not_grow_with_time():
    """A thread a look that ends at the next, for longer than any bound."""
    steady = thread(0)
    looks = 3 * max(MAX_POINTS, MAX_LEFT)
    facts = facts_of(*([steady, thread(at)] if at % 3 else [steady] for at in range(1, looks)))
    assert facts.ended > MAX_LEFT
    assert len(facts.left) == MAX_LEFT
    assert len(facts.points) <= MAX_POINTS
    assert facts.points[0].elapsed_s == 0.0
    assert facts.points[-1].size == facts.size


def variants_of(history: History) -> int:
    """How many distinct stacks the group with most of them remembers."""
    return max(len(cell.variants) for cell in history.cells(Level.FUNCTION))


def test_threads_that_come_with_ever_other_lines_leave_a_bounded_trace():
    snapshots = (snapshot(thread(n, started(own(line=n))), at=n) for n in range(1, 500))
    assert variants_of(history_of(snapshots)) <= MAX_VARIANTS + 1


def test_a_thread_that_goes_through_ever_other_lines_leaves_a_bounded_trace():
    snapshots = (snapshot(thread(1, started(own(line=n))), at=n) for n in range(1, 500))
    assert variants_of(history_of(snapshots)) <= MAX_VARIANTS + 1


def test_a_group_with_more_variants_than_are_remembered_still_shows_one_of_its_own():
    looks = [[thread(n, started(own(line=n))) for n in range(1, 300)]] * 2
    facts = facts_of(*looks, frames=started(own()))
    assert facts.frames in {stay.frames for stay in facts.stays}


def nameless(number: int, tid: int | None = None) -> ThreadSample:
    """A thread without the kernel's facts, as on macOS, or on 3.8 when the order was spoilt."""
    handle = None if tid else number
    return ThreadSample(ThreadKey(PID, tid, None, handle), None, QUEUE_GET, RunState.UNKNOWN)


@settings(max_examples=20)
@given(st.permutations(range(1, 5)))
def test_threads_of_unknown_id_are_listed_in_one_order(order):
    facts = facts_of([nameless(number) for number in order])
    assert [stay.key.handle for stay in facts.stays] == [1, 2, 3, 4]


def test_threads_of_known_and_of_unknown_id_in_one_group():
    """py-spy gives some ids and not others when it could not unwind every native stack."""
    facts = facts_of([nameless(1), nameless(2, tid=PID), thread(3)])
    assert facts.size == 3


@pytest.mark.parametrize("level", Level)
def test_an_ended_thread_is_forgotten(level):
    history = history_of([snapshot(thread(1)), snapshot(at=1.0)])
    assert history.tracks == {}
    assert [facts.size for facts in history.facts(level)] == [0]


def test_a_gap_between_looks_is_not_taken_for_looks():
    snapshots = (snapshot(thread(1), at=at) for at in (0.0, 1.0, 5.0))
    (facts,) = history_of(snapshots).facts(Level.FUNCTION)
    assert (facts.looks, facts.watched_s, facts.interval_s) == (3, 5.0, 2.5)
    assert facts.stays[0].key == key(1)


def test_a_thread_that_has_been_in_more_groups_than_are_remembered_is_still_judged():
    """A busy loop with ever other stacks: where it is now must not be among what is forgotten."""
    engine = Engine()
    for n in range(1, 3 * MAX_PLACES):
        stack = started(own(f"step_{n}"), own("main_loop"))
        engine.observe(snapshot(thread(1, stack), at=n))
    assert [judged.facts.size for judged in engine.findings().groups if judged.facts.size] == [1]
