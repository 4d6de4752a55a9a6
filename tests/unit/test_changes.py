"""From snapshots to changes: nothing is lost, nothing is told twice, torn looks are mended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakscope.changes import Differ
from leakscope.model import (
    Changes,
    Frame,
    Parking,
    Ran,
    RunState,
    Snapshot,
    ThreadKey,
    ThreadSample,
)
from tests.samples import (
    BOOTSTRAP,
    MAIN,
    QUEUE_GET,
    REQUEST,
    as_read_on_38,
    key,
    own,
    snapshot,
    thread,
)


def changes_of(*snapshots: Snapshot) -> Changes:
    """What the last of these snapshots changed."""
    differ = Differ()
    for sample in snapshots:
        changes = differ.changes(sample)
    return changes


def between(before: ThreadSample, after: ThreadSample) -> Changes:
    """What changed of one thread from one look to the next."""
    return changes_of(snapshot(before), snapshot(after, at=1.0))


def test_the_first_snapshot_is_all_new():
    changes = changes_of(snapshot(thread(1), thread(2)))
    assert changes.began == (thread(1), thread(2))
    assert (changes.changed, changes.ended, changes.ran) == ((), (), ())


def test_a_snapshot_like_the_one_before_changes_nothing():
    changes = between(thread(1), thread(1))
    assert (changes.began, changes.changed, changes.ended, changes.ran) == ((), (), (), ())


def test_a_thread_that_began_and_one_that_ended():
    changes = changes_of(snapshot(thread(1), thread(2)), snapshot(thread(2), thread(3), at=1.0))
    assert changes.began == (thread(3),)
    assert changes.ended == (key(1),)


def test_time_and_totals_are_passed_on():
    changes = changes_of(Snapshot(17.0, 3.0, (thread(1),), os_threads=9, native=8, tries=2))
    assert (changes.taken_at, changes.elapsed_s) == (17.0, 3.0)
    assert (changes.os_threads, changes.native, changes.tries) == (9, 8, 2)


@pytest.mark.parametrize(
    "after",
    [
        thread(frames=REQUEST),
        thread(state=RunState.RUNNING),
        thread(name="renamed"),
        thread(parking=Parking(202, "futex_do_wait")),
    ],
)
def test_a_thread_that_changed(after):
    assert between(thread(), after).changed == (after,)


def test_a_tid_that_was_handed_out_again_is_another_thread():
    successor = ThreadSample(
        key(1)._replace(start_ticks=9999), "Thread-9", QUEUE_GET, RunState.BLOCKED
    )
    changes = between(thread(1), successor)
    assert changes.began == (successor,)
    assert changes.ended == (key(1),)


def test_a_thread_that_ran():
    changes = between(thread(runs=5, cpu_ticks=2), thread(runs=8, cpu_ticks=3))
    assert changes.ran == (Ran(key(1), 3, 1),)


def test_running_is_no_change_of_its_own():
    assert between(thread(runs=5), thread(runs=8)).changed == ()


def test_a_thread_that_burnt_cpu_without_being_scheduled_away_ran():
    changes = between(thread(runs=5, cpu_ticks=2), thread(runs=5, cpu_ticks=90))
    assert changes.ran == (Ran(key(1), 0, 88),)


@pytest.mark.parametrize(("before", "after"), [(None, None), (None, 5), (5, None), (5, 5)])
def test_without_two_counters_nothing_is_said_to_have_run(before, after):
    assert between(thread(runs=before), thread(runs=after)).ran == ()


TORN = [
    pytest.param((), id="no frames"),
    pytest.param((Frame("wait", "__init__", 0),), id="phantoms only"),
    pytest.param(QUEUE_GET[:1], id="the leaf without its parents"),
    pytest.param(QUEUE_GET[:-2], id="outer end gone"),
    pytest.param(as_read_on_38(QUEUE_GET[:1]), id="the leaf, on 3.8"),
]


@pytest.mark.parametrize("frames", TORN)
def test_a_torn_stack_is_mended_with_the_one_before(frames):
    assert between(thread(), thread(frames=frames)).changed == ()


@pytest.mark.parametrize("frames", TORN)
def test_a_torn_stack_does_not_hide_what_comes_next(frames):
    moved = thread(frames=REQUEST)
    looks = (thread(), thread(frames=frames), moved)
    assert changes_of(*(snapshot(t, at=at) for at, t in enumerate(looks))).changed == (moved,)


def test_a_thread_that_began_without_frames_gets_them_later():
    changes = between(thread(frames=(), name=None), thread())
    assert changes.changed == (thread(),)


def test_the_main_thread_is_not_taken_for_torn():
    """It has no bootstrap frames: another outermost frame is another stack."""
    moved = thread(frames=(own("main"), *MAIN))
    assert between(thread(frames=MAIN), moved).changed == (moved,)


def test_a_stack_of_other_bootstrap_frames_is_whole():
    outermost_only = thread(frames=(own(), BOOTSTRAP[-1]))
    assert between(thread(), outermost_only).changed == (outermost_only,)


def test_a_name_that_could_not_be_read_is_kept():
    """One thread with an odd name makes py-spy give none of all threads."""
    changes = changes_of(
        snapshot(thread(name="worker")),
        snapshot(thread(name=None), at=1.0),
        snapshot(thread(name=None, frames=REQUEST), at=2.0),
    )
    assert changes.changed == (thread(name="worker", frames=REQUEST),)


@pytest.mark.parametrize("empty_first", [True, False])
def test_a_newcomer_that_is_listed_twice_began_once(empty_first):
    pair = [thread(), thread(frames=(), name=None)]
    changes = changes_of(snapshot(), snapshot(*(reversed(pair) if empty_first else pair), at=1.0))
    assert changes.began == (thread(),)


@pytest.mark.parametrize(
    "empty_first",
    [
        True,
        False,
    ],
)
def test_a_known_thread_that_is_listed_twice_is_one(empty_first):
    pair = [thread(runs=3), thread(frames=(), name=None, runs=3)]
    changes = changes_of(
        snapshot(thread(runs=2)), snapshot(*(reversed(pair) if empty_first else pair), at=1.0)
    )
    assert (changes.began, changes.changed, changes.ended) == ((), (), ())
    assert changes.ran == (Ran(key(1), 1, 0),)


def test_of_two_whole_listings_of_one_thread_one_is_told():
    """What is told must be what is remembered, or history and differ drift apart."""
    moved = thread(frames=REQUEST)
    differ = Differ()
    differ.changes(snapshot(thread()))
    told = differ.changes(snapshot(moved, thread(), at=1.0)).changed
    later = differ.changes(snapshot(thread(), at=2.0)).changed
    assert (*told, *later)[-1:] in ((), (thread(),))


STACKS = (QUEUE_GET, REQUEST, MAIN, ())
LOOKS = st.lists(st.dictionaries(st.integers(1, 6), st.sampled_from(STACKS)), max_size=8)


@given(LOOKS)
def test_changes_add_up_to_the_threads_that_are_there(looks):
    differ = Differ()
    there: set[ThreadKey] = set()
    for at, look in enumerate(looks):
        threads = (thread(number, frames) for number, frames in look.items())
        changes = differ.changes(snapshot(*threads, at=at))
        began = {began.key for began in changes.began}
        assert not began & there
        assert set(changes.ended) <= there
        assert {changed.key for changed in changes.changed} <= there - set(changes.ended)
        there = (there | began) - set(changes.ended)
        assert there == {key(number) for number in look}
