"""What the kernel alone tells, between dumps: who came, who ran, who went; and stacks read torn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leakscope.changes import Differ
from leakscope.history import History
from leakscope.model import (
    Changes,
    Counts,
    Frames,
    Ran,
    RunState,
    Snapshot,
    Target,
    ThreadKey,
    ThreadSample,
    Tick,
)
from leakscope.stacks import Level
from leakscope.tape import Decoder, Encoder, Head
from tests.samples import (
    MAIN,
    QUEUE_GET,
    REQUEST,
    TAKEN_AT,
    key,
    own,
    snapshot,
    started,
    thread,
)

BORN_S = -5.0


def tick(
    *counted: tuple[int, int],
    at: float = 1.0,
    ended: Iterable[int] = (),
    unread: str | None = None,
    stopped: bool = False,
) -> Tick:
    """A look at the counters: (number, runs) of those that are new or ran; who ended."""
    counts = {key(number): Counts(runs, 0) for number, runs in counted}
    births_s = dict.fromkeys(counts, BORN_S)
    gone = tuple(map(key, ended))
    return Tick(
        TAKEN_AT + at, at, counts, gone, births_s, len(counts), 0, unread, is_stopped=stopped
    )


def seen(
    number: int = 1, frames: Frames = QUEUE_GET, *, runs: int = 1, still: bool = True
) -> ThreadSample:
    """A thread in a snapshot; without `still` it ran while its stack was read."""
    read = thread(number, frames, born_s=BORN_S, runs=runs, cpu_ticks=0)
    return replace(read, held_still=still)


def all_changes(*looks: Snapshot | Tick) -> list[Changes]:
    """What each of these looks changed."""
    differ = Differ()
    return [differ.changes(look) for look in looks]


# --- ticks ----------------------------------------------------------------------------------------


def test_a_thread_that_a_tick_finds_began_without_a_stack():
    *_, changes = all_changes(snapshot(seen()), tick((2, 7)))
    (began,) = changes.began
    assert (began.key, began.name, began.frames, began.state) == (key(2), None, (), RunState.RAN)
    assert (began.born_s, began.runs) == (BORN_S, 7)
    assert not changes.stacks_read


def test_a_thread_that_did_not_run_is_as_it_was():
    *_, changes = all_changes(snapshot(seen(runs=3)), tick((1, 3)))
    assert (changes.began, changes.changed, changes.ended, changes.ran) == ((), (), (), ())


def test_a_thread_that_runs_at_each_tick_is_told_to_have_moved_once():
    _, first, second = all_changes(snapshot(seen(runs=3)), tick((1, 5)), tick((1, 9), at=2.0))
    (moved,) = first.changed
    assert (moved.state, moved.frames, moved.name) == (RunState.RAN, QUEUE_GET, "Thread-1")
    assert first.ran == (Ran(key(1), 2, 0),)
    assert (second.changed, second.ran) == ((), (Ran(key(1), 4, 0),))


def test_a_thread_whose_stack_was_never_read_has_not_moved_when_it_runs():
    *_, changes = all_changes(tick((1, 1), at=0.0), tick((1, 2)))
    assert changes.changed == ()
    assert changes.ran == (Ran(key(1), 1, 0),)


def test_a_thread_that_ended_between_dumps():
    *_, ended, after = all_changes(
        snapshot(seen(1), seen(2)), tick(ended=[1]), snapshot(seen(2), at=2.0)
    )
    assert ended.ended == (key(1),)
    assert (after.began, after.ended) == ((), ())


def test_a_thread_that_came_and_went_between_two_ticks_is_not_told():
    *_, changes = all_changes(snapshot(seen()), tick(ended=[9]))
    assert changes.ended == ()


def test_the_next_snapshot_names_those_that_ticks_found():
    *_, changes = all_changes(tick((1, 4), at=0.0), snapshot(seen(runs=4)))
    assert (changes.began, changes.ran) == ((), ())
    assert changes.changed == (seen(runs=4),)
    assert changes.stacks_read


def test_the_next_snapshot_says_what_those_that_ran_do_now():
    *_, changes = all_changes(snapshot(seen()), tick((1, 5)), snapshot(seen(runs=5), at=2.0))
    (blocked,) = changes.changed
    assert blocked.state is RunState.BLOCKED
    assert changes.ran == ()  # the tick told it already


def test_who_is_not_in_the_next_snapshot_ended():
    """A thread of C code is the kernel's at first, and none of Python's after a dump."""
    *_, changes = all_changes(snapshot(seen()), tick((2, 1)), snapshot(seen(), at=2.0))
    assert changes.ended == (key(2),)


def test_why_stacks_were_not_read_is_passed_on():
    *_, plain, failed = all_changes(snapshot(seen()), tick(), tick(at=2.0, unread="it hung"))
    assert (plain.unread, failed.unread) == (None, "it hung")


# --- stacks that were read while their thread ran -------------------------------------------------

OTHER_REQUEST = started(own("render", 31), own("handle_request", 20))


def after(*reads: Frames, known: Frames | None = None) -> ThreadSample:
    """How a thread stands after stacks that were read while it ran; `known` was read before."""
    looks = [snapshot(seen(frames=known))] if known is not None else []
    looks += [
        snapshot(seen(frames=frames, runs=runs, still=False), at=float(runs))
        for runs, frames in enumerate(reads, start=2)
    ]
    standing: dict[ThreadKey, ThreadSample] = {}
    for changes in all_changes(*looks):
        standing |= {one.key: one for one in (*changes.began, *changes.changed)}
    return standing[key(1)]


def test_a_stack_that_was_read_once_while_it_ran_is_not_taken():
    assert (after(REQUEST).frames, after(REQUEST).state) == ((), RunState.RAN)


def test_a_known_stack_stays_until_another_is_certain():
    moved = after(REQUEST, known=QUEUE_GET)
    assert (moved.frames, moved.state) == (QUEUE_GET, RunState.RAN)


@pytest.mark.parametrize("known", [None, QUEUE_GET])
def test_a_stack_on_which_two_looks_agree_is_taken(known):
    taken = after(REQUEST, REQUEST, known=known)
    assert (taken.frames, taken.state) == (REQUEST, RunState.BLOCKED)


@pytest.mark.parametrize("known", [None, QUEUE_GET])
def test_what_two_looks_agree_on_is_the_outer_part(known):
    taken = after(REQUEST, OTHER_REQUEST, known=known)
    assert taken.frames == started(own("handle_request", 20))
    assert taken.state is RunState.RAN


def test_looks_that_agree_on_nothing_leave_what_was_known():
    assert after(REQUEST, MAIN).frames == ()
    assert after(REQUEST, MAIN, known=QUEUE_GET).frames == QUEUE_GET


def test_two_looks_with_another_between_them_do_not_agree():
    assert after(REQUEST, OTHER_REQUEST[2:], REQUEST, known=QUEUE_GET).frames != REQUEST


def test_the_known_stack_at_other_lines_is_taken_at_once():
    elsewhere = started(*QUEUE_GET[:2], own(line=99))
    taken = after(elsewhere, known=QUEUE_GET)
    assert (taken.frames, taken.state) == (elsewhere, RunState.BLOCKED)


def test_a_stack_of_a_thread_that_stood_still_is_taken_at_once():
    *_, changes = all_changes(snapshot(seen()), snapshot(seen(frames=REQUEST), at=1.0))
    assert [one.frames for one in changes.changed] == [REQUEST]


# --- ticks and snapshots together -----------------------------------------------------------------

STACKS = (QUEUE_GET, REQUEST, OTHER_REQUEST, MAIN)


@st.composite
def watches(draw: st.DrawFn) -> list[Snapshot | Tick]:
    """Looks of both kinds at threads that come, run and go."""
    runs: dict[int, int] = {}
    looks: list[Snapshot | Tick] = []
    unused = iter(range(1, 1000))
    for at in range(draw(st.integers(1, 10))):
        ended = draw(st.lists(st.sampled_from(sorted(runs)), unique=True)) if runs else []
        for number in ended:
            del runs[number]
        ran = draw(st.lists(st.sampled_from(sorted(runs)), unique=True)) if runs else []
        for number in ran:
            runs[number] += draw(st.integers(1, 3))
        new = [next(unused) for _ in range(draw(st.integers(0, 3)))]
        runs.update(dict.fromkeys(new, 1))
        if draw(st.booleans()):
            counted = [(number, runs[number]) for number in (*ran, *new)]
            unread = draw(st.sampled_from([None, "it hung", "\x1b[31m"]))
            held = draw(st.booleans())
            looks.append(tick(*counted, at=float(at), ended=ended, unread=unread, stopped=held))
            continue
        frames, still = st.sampled_from(STACKS), st.booleans()
        threads = (seen(n, draw(frames), runs=runs[n], still=draw(still)) for n in runs)
        looks.append(snapshot(*threads, at=float(at)))
    return looks


@settings(deadline=None)
@given(watches())
def test_changes_of_either_kind_add_up_to_the_threads_that_are_there(looks):
    there: set[ThreadKey] = set()
    for look, changes in zip(looks, all_changes(*looks), strict=True):
        began = {one.key for one in changes.began}
        assert not began & there
        assert set(changes.ended) <= there
        there = (there | began) - set(changes.ended)
        assert {one.key for one in changes.changed} <= there
        assert {one.key for one in changes.ran} <= there
        if isinstance(look, Snapshot):
            assert there == {one.key for one in look.threads}


def test_both_kinds_tell_that_the_process_was_held():
    held = replace(snapshot(seen(), at=1.0), is_stopped=True)
    looks = (snapshot(seen()), held, tick(at=2.0, stopped=True), tick(at=3.0))
    assert [changes.is_stopped for changes in all_changes(*looks)] == [False, True, True, False]


@settings(deadline=None)
@given(watches())
def test_runs_are_told_once_by_whichever_look_sees_them(looks):
    told: dict[ThreadKey, int] = {}
    latest: dict[ThreadKey, int | None] = {}
    for look, changes in zip(looks, all_changes(*looks), strict=True):
        told |= {one.key: one.runs or 0 for one in changes.began}
        for ran in changes.ran:
            told[ran.key] += ran.runs
        if isinstance(look, Snapshot):
            latest |= {one.key: one.runs for one in look.threads}
        else:
            latest |= {name: count.runs for name, count in look.counts.items()}
    assert told == {name: runs for name, runs in latest.items() if name in told}
    assert told.keys() == latest.keys()


@settings(deadline=None)
@given(watches())
def test_a_recording_of_ticks_is_read_back(looks):
    encoder, decoder = Encoder(), Decoder()
    decoder.line(encoder.head(Head(Target(4711), 1.0)))
    for changes in all_changes(*looks):
        line = encoder.look(changes)
        assert ('"k":' in line) is not changes.stacks_read
        read = decoder.line(line)
        assert isinstance(read, Changes)
        # That a stack was read while its thread ran matters to the differ alone.
        began, changed = (
            tuple(replace(one, held_still=True) for one in of)
            for of in (changes.began, changes.changed)
        )
        same_counts = {one.key: (one.runs, one.cpu_ticks) for one in read.changed}
        changed = tuple(
            replace(one, runs=same_counts[one.key][0], cpu_ticks=same_counts[one.key][1])
            for one in changed
        )
        assert read == replace(changes, began=began, changed=changed)


# --- history --------------------------------------------------------------------------------------


def history_of(*looks: Snapshot | Tick) -> History:
    """The history after these looks."""
    history, differ = History(Level), Differ()
    for look in looks:
        history.observe(differ.changes(look))
    return history


def counts_at(history: History, frames: Frames) -> tuple[int, int, int, int, int, int] | None:
    """Size, first, arrived, departed, born and ended of the group of a stack; None for none."""
    for facts in history.facts(Level.FUNCTION):
        if facts.frames == frames:
            return (
                facts.size,
                facts.first,
                facts.arrived,
                facts.departed,
                facts.born,
                facts.ended,
            )
    return None


def test_naming_counts_as_birth_where_the_thread_was_found_and_nowhere_else():
    history = history_of(
        snapshot(seen(frames=MAIN)),
        tick((2, 1), (3, 1)),
        snapshot(seen(frames=MAIN), seen(2), seen(3), at=2.0),
    )
    assert counts_at(history, QUEUE_GET) == (2, 0, 2, 0, 2, 0)
    assert counts_at(history, ()) == (0, 0, 0, 0, 0, 0)


def test_a_thread_of_the_start_that_is_named_later_was_there_at_first():
    history = history_of(tick((1, 1), at=0.0), snapshot(seen(), at=1.0))
    assert counts_at(history, QUEUE_GET) == (1, 1, 0, 0, 0, 0)
    assert counts_at(history, ()) == (0, 0, 0, 0, 0, 0)


def test_a_thread_that_ended_unread_did_so_among_the_unread():
    history = history_of(snapshot(seen()), tick((2, 1)), tick(at=2.0, ended=[2]))
    assert counts_at(history, ()) == (0, 0, 1, 1, 1, 1)


def test_a_thread_that_is_named_came_there_once_and_did_not_run_since():
    history = history_of(
        tick((1, 1), at=0.0), tick((1, 5)), snapshot(seen(runs=8), at=2.0), tick(at=3.0)
    )
    (facts,) = [facts for facts in history.facts(Level.FUNCTION) if facts.size]
    (stay,) = facts.stays
    assert (stay.visits, stay.ran_looks, stay.began_s) == (1, 0, BORN_S)


def test_a_stack_that_is_lost_and_found_is_no_birth():
    """No differ tells this, and a spoilt recording may."""
    history = History(Level)
    for at, frames in enumerate((QUEUE_GET, (), REQUEST)):
        one = (seen(frames=frames),)
        began, changed = ((), one) if at else (one, ())
        history.observe(Changes(TAKEN_AT, float(at), began=began, changed=changed))
    assert counts_at(history, QUEUE_GET) == (0, 1, 0, 1, 0, 0)
    assert counts_at(history, ()) == (0, 0, 1, 1, 0, 0)
    assert counts_at(history, REQUEST) == (1, 0, 1, 0, 0, 0)


def test_what_was_not_looked_at_is_taken_neither_for_running_nor_for_waiting():
    history = history_of(
        snapshot(seen()), tick((1, 2), at=1.0), *(tick(at=float(at)) for at in range(2, 9))
    )
    (stay,) = history.facts(Level.FUNCTION)[0].stays
    assert (stay.state, stay.running_share) == (RunState.RAN, 0.0)
    assert stay.ran_looks == 1


def test_a_group_is_judged_as_of_when_its_stacks_were_read():
    history = history_of(snapshot(seen()), tick((2, 1), at=1.0), tick(at=9.0))
    now = {facts.frames: facts.now_s for facts in history.facts(Level.FUNCTION)}
    assert now == {QUEUE_GET: 0.0, (): 9.0}


@settings(deadline=None)
@given(watches())
def test_counts_add_up_with_ticks_among_the_looks(looks):
    history, differ = History(Level), Differ()
    first = born = ended = 0
    for n, look in enumerate(looks):
        changes = differ.changes(look)
        history.observe(changes)
        first += 0 if n else len(changes.began)
        born += len(changes.began) if n else 0
        ended += len(changes.ended)
        for level in Level:
            groups = history.facts(level)
            assert sum(facts.size for facts in groups) == len(history.tracks)
            assert sum(facts.first for facts in groups) == first
            assert sum(facts.born for facts in groups) == born
            assert sum(facts.ended for facts in groups) == ended
            for facts in groups:
                assert facts.size == facts.first + facts.arrived - facts.departed
                assert 0 <= facts.born <= facts.arrived
                assert 0 <= facts.ended <= facts.departed
                assert facts.size <= facts.peak
                assert facts.points[-1].size == facts.size
