"""When which limit is hit, how sure that is, in which words; and what a thread costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakscope.limits import (
    Deadline,
    Limit,
    ThreadCost,
    Usage,
    deadline_sentence,
    nearest_deadline,
    relative_error,
    thread_cost,
    with_cost,
)
from leakscope.spans import duration, roughly

MINUTE_S, HOUR_S, DAY_S, YEAR_S = 60, 3600, 86400, 365.25 * 86400
PIDS = Limit("pids.max 2048 (cgroup /kubepods/pod1)", 1208, 2048, 1.0)
MAPS = Limit("vm.max_map_count 65530", 3000, 65530, 2.0)
MEMORY = Limit("memory.max 512 MiB (cgroup /)", 300 << 20, 512 << 20, 0.0)


def words(seconds: float, earliest_s: float, latest_s: float | None, limit: Limit = PIDS) -> str:
    said = deadline_sentence(Deadline(limit, seconds, earliest_s, latest_s))
    assert said.startswith(limit.name)
    return said.removeprefix(limit.name)


# --- which, and when ------------------------------------------------------------------------------


def test_the_limit_that_is_hit_first_is_named_with_its_range():
    deadline = nearest_deadline([MAPS, PIDS], 1.0, relative_error(57))
    assert deadline is not None
    assert (deadline.limit, deadline.seconds) == (PIDS, 840 * MINUTE_S)
    assert deadline_sentence(deadline) == (
        "pids.max 2048 (cgroup /kubepods/pod1) in 14 h, between 11 h and 19 h"
    )


def test_what_a_thread_costs_decides_which_limit_is_first():
    dear = Limit("vm.max_map_count 65530", 65530 - 1000, 65530, 2.0)
    deadline = nearest_deadline([PIDS, dear], 10.0, 0.1)
    assert deadline is not None
    assert (deadline.limit, deadline.seconds) == (dear, 50 * MINUTE_S)


@pytest.mark.parametrize("rate", [0.0, -3.0])
def test_without_growth_there_is_no_deadline(rate):
    assert nearest_deadline([PIDS], rate, 0.1) is None


def test_a_limit_with_an_unknown_cost_sets_no_deadline():
    assert nearest_deadline([MEMORY], 1.0, 0.1) is None
    assert nearest_deadline([], 1.0, 0.1) is None


def test_memory_counts_once_it_is_known_what_a_thread_takes():
    priced = with_cost([PIDS, MEMORY], ThreadCost(memory_bytes=1 << 20, descriptors=None))
    assert priced[0] == PIDS
    deadline = nearest_deadline(priced, 1.0, 0.1)
    assert deadline is not None
    assert deadline.limit.name == MEMORY.name
    assert deadline.seconds == 212 * MINUTE_S


@pytest.mark.parametrize("unknown", [None, 0.0])
def test_memory_is_left_alone_while_a_thread_takes_none_of_it(unknown):
    assert with_cost([MEMORY], ThreadCost(memory_bytes=unknown)) == (MEMORY,)


def test_a_limit_that_is_reached_is_due_now():
    deadline = nearest_deadline([Limit("pids.max 10 (cgroup /)", 12, 10, 1.0)], 1.0, 0.1)
    assert deadline is not None
    assert (deadline.seconds, deadline.earliest_s, deadline.latest_s) == (0.0, 0.0, 0.0)


# --- how sure -------------------------------------------------------------------------------------


@pytest.mark.parametrize("arrivals", [0, 1, 4])
def test_few_arrivals_set_no_latest_moment(arrivals):
    deadline = nearest_deadline([PIDS], 1.0, relative_error(arrivals))
    assert deadline is not None
    assert deadline.latest_s is None


@given(st.integers(5, 10**6), st.floats(1e-3, 1e4), st.integers(1, 10**6))
def test_more_arrivals_narrow_the_range_around_the_estimate(arrivals, rate, left):
    limit = Limit("kernel.pid_max", 0, left, 1.0)
    few, more = (
        nearest_deadline([limit], rate, relative_error(n)) for n in (arrivals, 4 * arrivals)
    )
    assert few is not None
    assert more is not None
    assert few.latest_s is not None
    assert more.latest_s is not None
    assert few.earliest_s < more.earliest_s < few.seconds
    assert few.seconds == more.seconds < more.latest_s < few.latest_s


# --- in which words -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "said"),
    [
        ((14 * HOUR_S, 11 * HOUR_S, 19 * HOUR_S), " in 14 h, between 11 h and 19 h"),
        ((90 * MINUTE_S, 70 * MINUTE_S, 3 * HOUR_S), " in 90 min, between 70 min and 180 min"),
        ((14 * HOUR_S, 8 * HOUR_S, None), " in 14 h, 8 h at the earliest"),
        ((14 * HOUR_S, 13.9 * HOUR_S, 14.1 * HOUR_S), " in 14 h"),
        ((9 * YEAR_S, 8 * YEAR_S, 11 * YEAR_S), " in 9 years, 8 years at the earliest"),
        ((20 * YEAR_S, 9 * YEAR_S, None), " in more than 10 years, 9 years at the earliest"),
        ((20 * YEAR_S, 15 * YEAR_S, None), " in more than 10 years"),
        ((4.0, 3.0, 6.0), " any moment now"),
    ],
)
def test_a_deadline_is_said_as_exactly_as_it_is_known(span, said):
    assert words(*span) == said


@pytest.mark.parametrize("used", [2048, 2100])
def test_a_limit_that_is_reached_is_said_to_be(used):
    reached = Limit("pids.max 2048 (cgroup /)", used, 2048, 1.0)
    assert words(0.0, 0.0, 0.0, reached) == " is reached: no new thread can be counted on"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "0 s"),
        (119, "119 s"),
        (119.6, "2 min"),
        (119.4 * MINUTE_S, "119 min"),
        (119.6 * MINUTE_S, "2 h"),
        (47.6 * HOUR_S, "2 d"),
        (729 * DAY_S, "729 d"),
        (3 * YEAR_S, "3 years"),
        (10 * YEAR_S, "more than 10 years"),
    ],
)
def test_an_estimate_is_said_in_one_unit(seconds, said):
    assert roughly(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (4.21, "4.2 s"),
        (60, "60 s"),
        (12 * MINUTE_S, "12 min"),
        (6 * HOUR_S + 10 * MINUTE_S, "6 h 10 min"),
        (6 * HOUR_S, "6 h"),
        (3 * DAY_S + 2 * HOUR_S, "3 d 2 h"),
    ],
)
def test_a_measured_span_is_said_in_two_units(seconds, said):
    assert duration(seconds) == said


# --- what a thread costs --------------------------------------------------------------------------


def test_a_thread_costs_what_was_taken_up_since():
    readings = [Usage(0, 10, 1000, 5), Usage(5, 12, 9999, 99), Usage(9, 20, 3000, 25)]
    assert thread_cost(readings) == ThreadCost(memory_bytes=200.0, descriptors=2.0)


@pytest.mark.parametrize(
    "readings",
    [
        [],
        [Usage(0, 10, 1000, 5)],
        [Usage(0, 10, 1000, 5), Usage(9, 17, 9000, 50)],  # 7 threads more
        [Usage(0, 30, 1000, 5), Usage(9, 10, 9000, 50)],  # threads ended
        [Usage(0, 10, 1000, 5), Usage(9, 30, 900, 4)],  # a cache was emptied meanwhile
        [Usage(0, 10, None, None), Usage(9, 30, 9000, 50)],
    ],
)
def test_too_little_was_seen_to_say_what_a_thread_costs(readings):
    assert thread_cost(readings) == ThreadCost(None, None)


def test_a_thread_may_cost_no_descriptor():
    assert thread_cost([Usage(0, 1, None, 7), Usage(9, 9, None, 7)]) == ThreadCost(None, 0.0)
