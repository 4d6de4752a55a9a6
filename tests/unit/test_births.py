"""What start times say: moments, bursts, evenness, gaps and rates; numbers computed by hand."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakscope.births import (
    is_burst,
    is_even,
    longest_likely_gap_s,
    moments_of,
    rate_per_min,
    without_bursts,
)

TIMES = st.lists(st.floats(-10_000, 0), min_size=1, max_size=40)


def at_even_times(number: int, gap_s: float, *, first_s: float = 0.0) -> list[float]:
    """So many births, one each gap."""
    return [first_s + i * gap_s for i in range(number)]


# --- moments --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("births", "moments"),
    [
        ([], []),
        ([3.0], [3.0]),
        ([0.0, 0.5], [0.0]),
        ([0.0, 0.51], [0.0, 0.51]),
        # Half a second from the first of a moment, not from its latest.
        ([0.0, 0.3, 0.6, 0.9, 1.2], [0.0, 0.6, 1.2]),
        ([5.0, -5.0, 5.0], [-5.0, 5.0]),
    ],
)
def test_moments(births, moments):
    assert moments_of(births) == moments


# --- bursts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("births", "now_s", "burst"),
    [
        pytest.param([0.0] * 30, 100.0, True, id="all at once"),
        pytest.param(at_even_times(11, 10), 100.0, False, id="evenly"),
        # A tenth of 100 s: the first six of eleven came within 10 s, five of ten did not.
        pytest.param([0, 2, 4, 6, 8, 10, 30, 50, 70, 80, 90], 100.0, True, id="6 of 11 in 10 s"),
        pytest.param([0, 2, 4, 6, 8, 30, 50, 70, 80, 90], 100.0, False, id="5 of 10 in 8 s"),
        pytest.param([0, 50, 95, 96, 97, 98], 100.0, True, id="4 of 6 at the end"),
        pytest.param([0.0, 0.1, 0.2], 0.3, True, id="half a second is the shortest"),
        pytest.param([7.0], 7.0, True, id="one just now"),
    ],
)
def test_bursts(births, now_s, burst):
    assert is_burst(births, now_s) is burst


def test_the_share_of_a_burst_can_be_given():
    births = [0, 1, 2, 30, 50, 70]
    assert is_burst(births, 100.0, 0.4)
    assert not is_burst(births, 100.0, 0.5)


@given(TIMES, st.floats(-1000, 1000))
def test_whether_it_is_a_burst_depends_on_no_clock(births, shift_s):
    births = [round(at) for at in births]
    shift_s = round(shift_s)
    assert is_burst(births, 5.0) == is_burst([at + shift_s for at in births], 5.0 + shift_s)


def test_a_pool_that_was_started_at_once_is_left_out():
    singles = at_even_times(20, 10)
    assert without_bursts([*singles, *[55.0 + 0.001 * i for i in range(30)]]) == singles


def test_a_pool_alone_is_what_is_usual():
    pool = [0.001 * i for i in range(30)]
    assert without_bursts(pool) == pool


def test_objects_of_several_threads_are_no_bursts():
    objects = sorted(at + 0.01 * n for at in at_even_times(20, 10) for n in range(7))
    assert without_bursts(objects) == objects


@pytest.mark.parametrize(("together", "kept"), [(3, True), (4, False)])
def test_three_times_as_many_at_once_as_usual_are_no_burst(together, kept):
    singles = at_even_times(9, 10)
    some = [45.0 + 0.01 * i for i in range(together)]
    assert without_bursts([*singles, *some]) == (sorted([*singles, *some]) if kept else singles)


def test_of_no_births_none_is_left_out():
    assert without_bursts([]) == []


@given(TIMES)
def test_what_is_left_is_of_what_was_there_and_in_order(births):
    left = without_bursts(births)
    assert left == sorted(left)
    assert set(left) <= set(births)
    assert left


# --- evenness -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("births", "end_s", "even"),
    [
        # Thirds of 0 to 30 hold 4, 1 and 1 of six: a sixth is enough.
        pytest.param([0, 1, 2, 3, 15, 25], 30.0, True, id="4, 1, 1"),
        pytest.param([0, 1, 2, 3, 4, 15, 25], 30.0, False, id="5, 1, 1"),
        pytest.param([0, 1, 2, 21, 22, 23], 30.0, False, id="none in the middle"),
        pytest.param([0, 11, 12, 13], 30.0, False, id="none at the end"),
        pytest.param([0, 10, 20], 30.0, True, id="one each"),
        pytest.param([0, 10, 30], 30.0, True, id="the last is in the last third"),
        pytest.param([5.0], 5.0, False, id="no time at all"),
        pytest.param([5.0, 5.0, 5.0], 5.0, False, id="all at once"),
        pytest.param([0.0, *at_even_times(20, 1, first_s=80)], 100.0, False, id="of late only"),
    ],
)
def test_evenness(births, end_s, even):
    assert is_even(births, end_s) is even


@given(st.integers(4, 500), st.floats(1e-3, 1e5), st.floats(-1e6, 1e6))
def test_births_at_a_steady_rate_are_even_whatever_the_rate(number, gap_s, first_s):
    births = at_even_times(number, gap_s, first_s=first_s)
    assert is_even(births, first_s + number * gap_s)


@pytest.mark.parametrize("seed", range(50))
@pytest.mark.parametrize("gap_s", [0.01, 1.0, 600.0])
def test_births_at_random_times_are_even_whatever_the_rate(seed, gap_s):
    """Each third gets 40 of 120; less than half of that is four deviations away."""
    chance = random.Random(seed)
    births = [chance.uniform(0, 120 * gap_s) for _ in range(120)]
    assert is_even(births, max(births))


@pytest.mark.parametrize("seed", range(50))
def test_ages_of_random_turnover_are_not_even(seed):
    chance = random.Random(seed)
    births = [-chance.expovariate(1 / 30) for _ in range(120)]
    assert not is_even(births, max(births))


@given(st.integers(40, 300), st.floats(0.1, 1e4))
def test_exponential_ages_are_not_even(number, mean_s):
    """Turnover at random: the ages of who is alive thin out, here at the quantiles of that law."""
    ages = [-mean_s * math.log(1 - (i + 0.5) / number) for i in range(number)]
    assert not is_even([-age for age in ages], 0.0)


# --- gaps and rates -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moments", "gap_s"),
    [
        ([], 0.0),
        ([7.0], 0.0),
        # Even gaps of 10 s: no spread, so two and a half of them.
        (at_even_times(5, 10), 25.0),
        # Gaps of 6 and 14 s: mean 10, deviation 4, so 22, which is less than 25.
        ([0, 6, 20, 26, 40], 25.0),
        # Gaps of 4 and 16 s: mean 10, deviation 6, so 28.
        ([0, 4, 20, 24, 40], 28.0),
        # Gaps of 1, 1, 1 and 37 s: mean 10, deviation 15.6; four mean gaps at most.
        ([0, 1, 2, 3, 40], 40.0),
    ],
)
def test_the_longest_likely_gap(moments, gap_s):
    assert longest_likely_gap_s(moments) == pytest.approx(gap_s)


@pytest.mark.parametrize(
    ("births", "rate"),
    [
        (at_even_times(11, 6), 10.0),
        ([60.0, 0.0], 1.0),
        (at_even_times(20, 600), 0.1),
        ([5.0], 0.0),
        ([5.0, 5.0], 0.0),
    ],
)
def test_the_rate_is_gaps_over_time(births, rate):
    assert rate_per_min(births) == pytest.approx(rate)


@given(st.integers(2, 500), st.floats(0.01, 1e4), st.randoms())
def test_the_rate_depends_on_no_order(number, gap_s, chance):
    births = at_even_times(number, gap_s)
    chance.shuffle(births)
    assert rate_per_min(births) == pytest.approx(60 / gap_s)
