"""Which OS thread is which, on 3.8 to 3.10, where py-spy only gives handles, newest first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leakscope.dumps import DumpedThread
from leakscope.identities import Identities


def dumped(*handles: int) -> list[DumpedThread]:
    """Threads with these handles, in py-spy's order."""
    return [DumpedThread(handle, None, None, True, False, ()) for handle in handles]


def test_the_newest_is_listed_first():
    births = {101: 10, 102: 20, 103: 30}
    assert Identities().match(dumped(0xC, 0xB, 0xA), births) == {0xA: 101, 0xB: 102, 0xC: 103}


def test_threads_born_in_one_tick_are_in_the_order_of_their_ids():
    assert Identities().match(dumped(0xB, 0xA), {101: 10, 102: 10}) == {0xA: 101, 0xB: 102}


def test_nothing_is_guessed_where_the_counts_differ():
    """A native thread among them: any of the three may be the one that is not Python's."""
    identities = Identities()
    assert identities.match(dumped(0xB, 0xA), {101: 10, 102: 20, 103: 30}) is None
    assert identities.known() == {}


def test_a_handle_keeps_its_thread():
    identities = Identities()
    identities.match(dumped(0xB, 0xA), {101: 10, 102: 20})
    births = {101: 10, 102: 20, 103: 30}
    assert identities.match(dumped(0xC, 0xB, 0xA), births) == {0xA: 101, 0xB: 102, 0xC: 103}


def test_what_is_known_holds_when_a_native_thread_comes():
    identities = Identities()
    identities.match(dumped(0xB, 0xA), {101: 10, 102: 20})
    births = {101: 10, 102: 20, 103: 30}
    assert identities.match(dumped(0xB, 0xA), births) == {0xA: 101, 0xB: 102}


def test_what_is_known_holds_when_a_newcomer_cannot_be_told():
    identities = Identities()
    identities.match(dumped(0xA), {101: 10})
    assert identities.match(dumped(0xB, 0xA), {101: 10, 102: 20, 103: 30}) is None
    assert identities.known() == {0xA: 101}


def test_a_newcomer_can_be_told_once_the_counts_agree_again():
    identities = Identities()
    identities.match(dumped(0xA), {101: 10})
    identities.match(dumped(0xB, 0xA), {101: 10, 102: 20, 103: 30})
    assert identities.match(dumped(0xB, 0xA), {101: 10, 103: 30}) == {0xA: 101, 0xB: 103}


def test_a_handle_that_is_used_again_is_another_thread():
    """The memory of a thread that ended is where the next one is often put."""
    identities = Identities()
    identities.match(dumped(0xB, 0xA), {101: 10, 102: 20})
    assert identities.match(dumped(0xB, 0xA), {101: 10, 105: 50}) == {0xA: 101, 0xB: 105}


def test_what_ended_is_forgotten():
    identities = Identities()
    identities.match(dumped(0xB, 0xA), {101: 10, 102: 20})
    identities.match(dumped(0xA), {101: 10})
    assert identities.known() == {0xA: 101}


def test_what_is_known_cannot_be_changed_from_outside():
    identities = Identities()
    identities.match(dumped(0xA), {101: 10})
    identities.known().clear()
    assert identities.known() == {0xA: 101}


def test_no_threads_at_all():
    assert Identities().match([], {}) == {}


@given(st.lists(st.sets(st.integers(1, 8)), max_size=8))
def test_each_handle_gets_its_own_thread_whoever_comes_and_goes(looks):
    """Thread n has handle n and TID 100 + n and is born at n: a later n is newer."""
    identities = Identities()
    for alive in looks:
        births = {100 + number: number for number in alive}
        matched = identities.match(dumped(*sorted(alive, reverse=True)), births)
        assert matched == {number: 100 + number for number in alive}
