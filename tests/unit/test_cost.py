"""What looking takes: of the CPU, by the budget's account, and of the target's time."""

from __future__ import annotations

import time

import pytest

from leakscope.pauses import pause_s
from leakscope.sources.budget import Budget


@pytest.fixture
def own_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The CPU time that this process has taken, in a list of one; to be set."""
    now = [7.0]
    monkeypatch.setattr(time, "process_time", lambda: now[0])
    return now


def test_what_it_took_to_start_is_not_counted(own_s):
    budget = Budget(0.02)
    own_s[0] = 9.0
    assert budget.spent_s() == 0.0
    budget.begin()
    assert budget.spent_s() == 0.0
    own_s[0] = 9.5
    assert budget.spent_s() == 0.5


def test_dumps_are_added(own_s):
    budget = Budget(0.02)
    budget.begin()
    budget.charge(0.25)
    budget.charge(0.5)
    own_s[0] += 1.0
    assert budget.spent_s() == 1.75


def test_the_first_process_whose_dump_is_over_begins_for_all(own_s):
    budget = Budget(0.02)
    budget.begin()
    own_s[0] += 3.0
    budget.begin()
    assert budget.spent_s() == 3.0


@pytest.mark.parametrize("python", ["3.11.7", "3.14.0", "3.20.1", None, "", "three", "3", "3.x"])
def test_a_pause_is_a_fifth_of_a_millisecond_a_thread(python):
    assert pause_s(1000, python) == pytest.approx(0.2)


@pytest.mark.parametrize("python", ["3.8.20", "3.9.1", "3.10.14", "2.7.18"])
def test_until_3_10_a_pause_is_longer(python):
    assert pause_s(1000, python) == pytest.approx(0.33)


def test_even_without_threads_stopping_and_starting_takes_a_while():
    assert pause_s(0, "3.11.7") == pause_s(1, "3.8.1") == 0.004


def test_a_pause_never_shrinks_with_more_threads():
    pauses = [pause_s(threads, "3.11.7") for threads in range(200)]
    assert pauses == sorted(pauses)


def test_what_was_allowed_before_a_process_came_is_not_held_against_it(own_s, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    budget = Budget(0.02)
    assert budget.earned_before_s(0.0) == 0.0
    budget.begin()
    now[0] = 1100.0
    assert budget.earned_before_s(1000.0) == 0.0
    assert budget.earned_before_s(100.0) == pytest.approx(18.0)


def test_what_showing_takes_is_not_held_against_the_watch(own_s):
    budget = Budget(0.02)
    budget.begin()
    own_s[0] += 1.0
    budget.excuse(0.75)
    assert budget.spent_s() == 0.25


def test_who_waits_for_a_dump_is_served_before_who_comes_later():
    budget = Budget(0.02)
    budget.claim("dear", 0.5)
    budget.claim("cheap", 0.01)
    assert budget.claimed_before_s("dear") == 0.0
    assert budget.claimed_before_s("cheap") == 0.5
    assert budget.claimed_before_s("new") == 0.51


def test_to_claim_again_is_to_wait_in_the_same_place():
    budget = Budget(0.02)
    budget.claim("dear", 0.5)
    budget.claim("cheap", 0.01)
    budget.claim("dear", 0.5)
    assert budget.claimed_before_s("dear") == 0.0
    budget.drop_claim("dear")
    budget.drop_claim("who never claimed")
    assert budget.claimed_before_s("cheap") == 0.0
