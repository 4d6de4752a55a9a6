"""When stacks are read: at once, then rarely, soon where a verdict hangs on it, within a budget."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leakscope.pacing import (
    CHECK_EACH_S,
    CREDIT_S,
    FIRST_TRIES,
    HURRIED_EACH_S,
    MANY_UNREAD,
    UNHURRIED_SHARE,
    News,
    Pace,
)

DAY_S = 86_400
QUIET = News(unread=0, moved=0, ended=0)
MANY = News(unread=MANY_UNREAD, moved=0, ended=0)
FEW = News(unread=1, moved=0, ended=0)
SHARE = 0.02


def begun(cpu_s: float = 0.1, share: float | None = SHARE) -> Pace:
    """A pace whose first dump is over, at the second 0."""
    pace = Pace(share)
    pace.dumped(0.0, cpu_s)
    return pace


# --- the first dump -------------------------------------------------------------------------------


def test_the_first_dump_is_made_at_once():
    pace = Pace(SHARE)
    assert pace.is_due(0.0, QUIET, 0.0)
    assert not pace.has_begun


def test_the_first_dump_is_owed_whatever_was_spent():
    assert Pace(0.001).is_due(0.0, QUIET, 1e6)


def test_the_first_dump_is_tried_again_a_few_times():
    pace = Pace(SHARE)
    for second in range(FIRST_TRIES - 1):
        pace.failed(float(second), 0.1, lasting=False)
        assert pace.is_due(second + 1.0, QUIET, 0.0)
        assert not pace.has_begun


def test_a_first_dump_that_goes_on_failing_is_paid_for():
    pace = Pace(SHARE)
    for second in range(FIRST_TRIES):
        pace.failed(float(second), 1.0, lasting=False)
    assert pace.has_begun
    assert not pace.is_due(FIRST_TRIES, MANY, spent_s=SHARE * CREDIT_S)


def test_a_first_dump_without_hope_is_not_tried_again_before_the_check():
    pace = Pace(SHARE)
    pace.failed(0.0, 0.1, lasting=True)
    assert pace.has_begun
    assert not pace.is_due(CHECK_EACH_S - 1, MANY, 0.0)
    assert pace.is_due(CHECK_EACH_S, QUIET, 0.0)


def test_hope_returns_with_a_dump_that_succeeds():
    pace = begun()
    pace.failed(1.0, 0.1, lasting=True)
    assert not pace.is_due(100.0, MANY, 0.0)
    pace.dumped(301.0, 0.1)
    assert pace.is_due(301.0 + HURRIED_EACH_S, MANY, 0.0)


def test_without_a_budget_each_tick_dumps():
    pace = begun(share=None)
    assert pace.every_tick
    assert pace.is_due(0.01, QUIET, 1e9)
    assert not begun().every_tick


# --- what there is to learn -----------------------------------------------------------------------


def test_many_unread_are_read_soon():
    pace = begun(cpu_s=0.3)
    assert not pace.is_due(HURRIED_EACH_S - 0.1, MANY, 0.0)
    assert pace.is_due(HURRIED_EACH_S, MANY, 0.0)


@pytest.mark.parametrize("news", [FEW, News(0, 1, 0), News(0, 0, 1), News(MANY_UNREAD - 1, 9, 9)])
@pytest.mark.parametrize("cpu_s", [0.01, 0.3])
def test_less_news_waits_the_longer_the_dearer_a_dump_is(news, cpu_s):
    pace = begun(cpu_s)
    due_s = cpu_s / UNHURRIED_SHARE
    assert not pace.is_due(due_s - 0.1, news, 0.0)
    assert pace.is_due(due_s + 0.001, news, 0.0)


def test_without_news_all_is_checked_now_and_then():
    pace = begun()
    assert not pace.is_due(CHECK_EACH_S - 1, QUIET, 0.0)
    assert pace.is_due(CHECK_EACH_S, QUIET, 0.0)


def test_the_check_is_made_though_the_counters_alone_take_all_that_is_allowed():
    assert begun().is_due(CHECK_EACH_S, QUIET, spent_s=1e6)


def test_a_failed_dump_is_spaced_as_any_other():
    pace = begun(cpu_s=0.1)
    pace.failed(20.0, 0.1, lasting=False)
    assert not pace.is_due(20.0 + HURRIED_EACH_S - 0.1, MANY, 0.0)
    assert pace.is_due(20.0 + HURRIED_EACH_S, MANY, 0.0)


def test_dumps_that_become_dearer_become_rarer():
    pace = begun(cpu_s=0.1)
    for at in range(100, 1000, 100):
        pace.dumped(float(at), 0.4)
    assert not pace.is_due(900 + 0.39 / UNHURRIED_SHARE, FEW, 0.0)
    assert pace.is_due(900 + 0.41 / UNHURRIED_SHARE, FEW, 0.0)


def test_news_makes_a_dear_dump_no_later_than_none_would():
    assert begun(cpu_s=9.0).is_due(CHECK_EACH_S, FEW, 0.0)


# --- the budget -----------------------------------------------------------------------------------


def test_nothing_is_read_for_which_the_budget_does_not_reach():
    pace = begun(cpu_s=0.5)
    now_s = HURRIED_EACH_S
    allowed_s = SHARE * (now_s + CREDIT_S)
    assert pace.is_due(now_s, MANY, allowed_s - 0.51)
    assert not pace.is_due(now_s, MANY, allowed_s - 0.49)


class Lived:
    """A simulated watch: what was spent at most beyond the budget, and when was dumped."""

    def __init__(
        self,
        share: float,
        news: News,
        dump_cpu_s: Callable[[int], float],
        *,
        tick_cpu_s: float = 0.0,
        seconds: int = DAY_S,
    ) -> None:
        pace = Pace(share)
        self.spent_s = 0.0
        self.dumps_s: list[float] = []
        self.worst_s = 0.0  # beyond what was allowed at that moment
        for second in range(seconds):
            began = pace.has_begun
            self.spent_s += tick_cpu_s if began else 0.0
            if pace.is_due(float(second), news, self.spent_s):
                cpu_s = dump_cpu_s(len(self.dumps_s))
                pace.dumped(float(second), cpu_s)
                self.spent_s += cpu_s if began else 0.0  # the first one is owed to the user
                self.dumps_s.append(float(second))
            self.worst_s = max(self.worst_s, self.spent_s - share * (second + CREDIT_S))


@pytest.mark.parametrize("news", [MANY, FEW], ids=["many unread", "few unread"])
@pytest.mark.parametrize("cpu_s", [0.005, 0.3, 2.0])
def test_a_day_stays_within_the_budget(news, cpu_s):
    day = Lived(SHARE, news, lambda _: cpu_s, tick_cpu_s=0.002)
    assert day.worst_s <= 1e-6
    assert day.spent_s <= SHARE * (DAY_S + CREDIT_S)
    assert len(day.dumps_s) > DAY_S / CHECK_EACH_S


def test_a_day_of_news_without_hurry_takes_a_hundredth_of_a_core():
    day = Lived(0.1, FEW, lambda _: 0.3)
    assert day.spent_s == pytest.approx(UNHURRIED_SHARE * DAY_S, rel=0.05)


def test_a_day_without_news_is_a_check_each_five_minutes():
    day = Lived(SHARE, QUIET, lambda _: 0.3)
    assert len(day.dumps_s) == pytest.approx(DAY_S / CHECK_EACH_S, abs=1)


def test_a_day_whose_ticks_take_it_all_is_still_checked():
    day = Lived(SHARE, MANY, lambda _: 2.0, tick_cpu_s=0.03)
    checks = DAY_S / CHECK_EACH_S
    # The credit of the first minute is used up at first.
    assert len(day.dumps_s) == pytest.approx(checks, abs=10)


@settings(max_examples=30, deadline=None)
@given(
    share=st.floats(0.001, 1.0),
    costs=st.lists(st.floats(0.001, 5.0), min_size=1, max_size=8),
    news=st.builds(News, *[st.integers(0, 2 * MANY_UNREAD)] * 3),
)
def test_whatever_dumps_cost_the_budget_holds_in_the_long_run(share, costs, news):
    """But for a dump that turns out dearer than the last ones, and the checks."""
    seconds = 1800
    lived = Lived(share, news, lambda n: costs[n % len(costs)], seconds=seconds)
    checks = seconds / CHECK_EACH_S
    assert lived.spent_s <= share * (seconds + CREDIT_S) + (checks + 1) * max(costs)
    gaps = [later - earlier for earlier, later in pairwise(lived.dumps_s)]
    assert max(gaps, default=0) <= CHECK_EACH_S
    assert min(gaps, default=1) >= 1
