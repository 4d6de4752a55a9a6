"""Which OS thread is which, on 3.8 to 3.10, where py-spy only gives handles, newest first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leakscope.dumps import DumpedThread
from leakscope.identities import Identities, OsThread, Stacks


def dumped(*handles: int) -> list[DumpedThread]:
    """Threads with these handles, in py-spy's order."""
    return [DumpedThread(handle, None, None, True, False, ()) for handle in handles]


def match(
    identities: Identities,
    handles: list[DumpedThread],
    births: dict[int, int],
    *,
    pointers: dict[int, int] | None = None,
    stacks: Stacks = (),
    main_tid: int = 1,
    held_still: bool = True,
) -> dict[int, int]:
    """The TIDs found, with OS threads given by their start ticks, and maybe stack pointers."""
    known = pointers or {}
    living = {tid: OsThread(ticks, known.get(tid)) for tid, ticks in births.items()}
    return identities.match(handles, living, stacks, main_tid=main_tid, held_still=held_still)


def test_the_newest_is_listed_first():
    births = {101: 10, 102: 20, 103: 30}
    assert match(Identities(), dumped(0xC, 0xB, 0xA), births) == {0xA: 101, 0xB: 102, 0xC: 103}


def test_threads_born_in_one_tick_are_in_the_order_of_their_ids():
    assert match(Identities(), dumped(0xB, 0xA), {101: 10, 102: 10}) == {0xA: 101, 0xB: 102}


def test_nothing_is_guessed_where_the_counts_differ():
    """A native thread among them: any of the three may be the one that is not Python's."""
    identities = Identities()
    assert match(identities, dumped(0xB, 0xA), {101: 10, 102: 20, 103: 30}) == {}


def test_a_handle_keeps_its_thread():
    identities = Identities()
    match(identities, dumped(0xB, 0xA), {101: 10, 102: 20})
    births = {101: 10, 102: 20, 103: 30}
    assert match(identities, dumped(0xC, 0xB, 0xA), births) == {0xA: 101, 0xB: 102, 0xC: 103}


def test_what_is_known_holds_when_a_native_thread_comes():
    identities = Identities()
    match(identities, dumped(0xB, 0xA), {101: 10, 102: 20})
    births = {101: 10, 102: 20, 103: 30}
    assert match(identities, dumped(0xB, 0xA), births) == {0xA: 101, 0xB: 102}


def test_what_is_known_holds_when_a_newcomer_cannot_be_told():
    identities = Identities()
    match(identities, dumped(0xA), {101: 10})
    assert match(identities, dumped(0xB, 0xA), {101: 10, 102: 20, 103: 30}) == {0xA: 101}


def test_a_newcomer_can_be_told_once_the_counts_agree_again():
    identities = Identities()
    match(identities, dumped(0xA), {101: 10})
    match(identities, dumped(0xB, 0xA), {101: 10, 102: 20, 103: 30})
    assert match(identities, dumped(0xB, 0xA), {101: 10, 103: 30}) == {0xA: 101, 0xB: 103}


def test_a_handle_that_is_used_again_is_another_thread():
    """The memory of a thread that ended is where the next one is often put."""
    identities = Identities()
    match(identities, dumped(0xB, 0xA), {101: 10, 102: 20})
    assert match(identities, dumped(0xB, 0xA), {101: 10, 105: 50}) == {0xA: 101, 0xB: 105}


def test_what_ended_is_forgotten():
    identities = Identities()
    match(identities, dumped(0xB, 0xA), {101: 10, 102: 20})
    assert match(identities, dumped(0xA), {101: 10}) == {0xA: 101}


# Three stacks with a guard page between, each with its pthread structure near the upper end.
STACKS = [(0x1000, 0x2000), (0x3000, 0x4000), (0x5000, 0x6000)]
A, B, C = 0x1F00, 0x3F00, 0x5F00
POINTERS = {101: 0x1E00, 102: 0x3E00, 103: 0x5E00}


def test_a_thread_is_the_one_whose_stack_ends_at_its_handle():
    """In whatever order they were born, and with threads that are not Python's among them."""
    births = {103: 10, 102: 20, 101: 30, 104: 5}
    found = match(
        Identities(), dumped(C, B, A), births, pointers=POINTERS, stacks=STACKS, held_still=False
    )
    assert found == {A: 101, B: 102, C: 103}


def test_a_thread_of_another_stack_is_not_taken_for_the_one_that_ran():
    """The thread of B shows no pointer; that of C, which is in no dump, is not taken for it."""
    births, pointers = {101: 10, 102: 20, 103: 30}, {101: 0x1E00, 103: 0x5E00}
    found = match(
        Identities(), dumped(B, A), births, pointers=pointers, stacks=STACKS, held_still=False
    )
    assert found == {A: 101}


def test_the_one_that_ran_is_told_by_its_birth_where_nothing_else_came_or_went():
    births, pointers = {101: 10, 102: 20, 103: 30}, {101: 0x1E00, 103: 0x5E00}
    found = match(Identities(), dumped(C, B, A), births, pointers=pointers, stacks=STACKS)
    assert found == {A: 101, B: 102, C: 103}


def test_nothing_is_guessed_by_births_while_threads_come_and_go():
    assert match(Identities(), dumped(B, A), {101: 10, 102: 20}, held_still=False) == {}


def test_the_main_thread_is_the_oldest():
    """Its structure is not on its stack, which the kernel made."""
    found = match(
        Identities(),
        dumped(B, 0x900),
        {1: 5, 102: 20, 103: 7},
        pointers={1: 0x9000, **POINTERS},
        stacks=[(0x800, 0xA00), *STACKS, (0x8000, 0xA000)],
        held_still=False,
    )
    assert found == {0x900: 1, B: 102}


def test_two_handles_in_one_piece_of_memory_tell_nothing():
    found = match(
        Identities(),
        dumped(0x1F80, A),
        {101: 10, 102: 20, 103: 30},
        pointers=POINTERS,
        stacks=STACKS,
        held_still=False,
    )
    assert found == {}


def test_no_threads_at_all():
    assert match(Identities(), [], {}) == {}


@given(st.lists(st.sets(st.integers(1, 8)), max_size=8))
def test_each_handle_gets_its_own_thread_whoever_comes_and_goes(looks):
    """Thread n has handle n and TID 100 + n and is born at n: a later n is newer."""
    identities = Identities()
    for alive in looks:
        births = {100 + number: number for number in alive}
        matched = match(identities, dumped(*sorted(alive, reverse=True)), births)
        assert matched == {number: 100 + number for number in alive}
