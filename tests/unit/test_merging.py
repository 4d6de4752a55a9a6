"""One report of several processes: what is added up, what is judged, what is kept of the past."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakscope.facts import Point
from leakscope.limits import Deadline, Limit, ThreadCost
from leakscope.merging import as_ended, as_joined, merged, past_leaks, summed
from leakscope.policy import Trend, Verdict
from leakscope.report import Kind, Overall
from tests.builders import getting, group, key, leak, points, report, started, stays, target

A, B = 4711, 4712


def held(size, pid=A, *, trend=Trend.STEADY, **fields):
    """A group of so many threads of one process."""
    members = [
        member._replace(key=key(number, pid))
        for number, member in enumerate(stays(size, frames=getting()), 1)
    ]
    return group(members=members, frames=getting(), trend=trend, **fields)


def of(pid, *groups, **fields):
    """The report of one process."""
    return report(*groups, targets=(target(pid=pid),), **fields)


def the_group(made):
    (only,) = made.groups
    return only


# --- what is added up -----------------------------------------------------------------------------


def test_a_group_is_added_up_over_the_processes_that_have_it():
    made = merged([of(A, held(3, A)), of(B, held(5, B))], None, {})
    assert the_group(made).size == 8
    assert the_group(made).by_process == {B: 5, A: 3}
    assert (made.threads, made.os_threads, made.samples, made.tries) == (8, 8, 120, 122)


def test_groups_of_different_stacks_stay_apart():
    elsewhere = group(2, started())
    made = merged([of(A, held(3)), of(B, elsewhere)], None, {})
    assert [one.size for one in made.groups] == [3, 2]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=6))
def test_counts_by_process_add_up_to_the_count(sizes):
    made = merged([of(A + n, held(size, A + n)) for n, size in enumerate(sizes)], None, {})
    assert the_group(made).size == sum(the_group(made).by_process.values()) == sum(sizes)


@given(st.permutations([A, B, 4713]))
def test_the_order_of_processes_changes_nothing_that_is_counted(pids):
    made = merged([of(pid, held(pid - 4710, pid)) for pid in pids], None, {})
    assert the_group(made).by_process == {4713: 3, B: 2, A: 1}
    assert [stay.key for stay in the_group(made).stays] == sorted(
        (stay.key for stay in the_group(made).stays), key=lambda one: one.tid or 0
    )


def test_one_alone_is_as_it_was():
    alone = of(A, held(3), leaks=(leak(held(3)),), not_seen=("native threads: 2",))
    alone = replace(alone, total_points=points(3), thread_cost=ThreadCost())
    assert merged([alone], None, {}) == alone


# --- sizes over time ------------------------------------------------------------------------------


def test_a_process_that_was_missed_keeps_its_last_count():
    missed = (Point(0, 5), Point(9, 6))  # nothing between 0 and 9: it did not change, or was missed
    assert summed([missed, points(1, 2, 3)], 0.5) == (
        Point(0, 6), Point(1, 7), Point(2, 8), Point(9, 9),
    )  # fmt: skip


def test_looks_of_one_round_make_one_point():
    one, other = (Point(0.0, 1), Point(1.0, 2)), (Point(0.04, 1), Point(1.04, 2))
    assert summed([one, other], 0.5) == (Point(0.0, 2), Point(1.0, 4))


series = st.lists(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=8).map(
        lambda pairs: tuple(Point(float(at), size) for at, size in sorted(dict(pairs).items()))
    ),
    max_size=5,
)


@given(series)
def test_the_last_point_is_the_sum_of_the_last_points(every):
    made = summed(every, 0.5)
    assert (made[-1].size if made else 0) == sum(one[-1].size for one in every if one)
    assert [point.elapsed_s for point in made] == sorted({point.elapsed_s for point in made})


def test_many_points_are_thinned():
    assert len(summed([points(*range(3000)), points(*range(3000))], 0.1)) <= 600


# --- verdicts -------------------------------------------------------------------------------------


def test_each_is_judged_by_itself_and_the_worst_counts():
    made = merged([of(A, held(3)), of(B, held(9, B, trend=Trend.GROWING))], None, {})
    assert the_group(made).verdict.trend is Trend.GROWING


def test_a_sum_that_doubles_is_no_verdict():
    before = of(A, held(20))
    during = merged([before, as_joined(of(B, held(20, B)))], None, {})
    assert (the_group(during).size, the_group(during).first) == (40, 20)
    assert (the_group(during).verdict.trend, during.verdict) == (Trend.STEADY, Overall.CLEAN)


@pytest.mark.parametrize(
    ("verdicts", "all_of_them"),
    [
        ((Overall.CLEAN, Overall.UNKNOWN), Overall.CLEAN),
        ((Overall.UNKNOWN, Overall.UNKNOWN), Overall.UNKNOWN),
        ((Overall.CLEAN, Overall.GROWING), Overall.GROWING),
    ],
)
def test_the_verdict_of_all(verdicts, all_of_them):
    made = merged([of(A + n, verdict=one) for n, one in enumerate(verdicts)], None, {})
    assert made.verdict is all_of_them


def test_who_is_too_new_to_judge_is_named():
    made = merged([of(A), of(B, verdict=Overall.UNKNOWN)], None, {})
    assert made.not_seen == (f"process {B}: not watched for long enough to say",)
    once = [of(A, kind=Kind.DUMP), of(B, kind=Kind.DUMP, verdict=Overall.UNKNOWN)]
    assert merged(once, None, {}).not_seen == ()


def test_what_was_not_seen_names_the_processes_that_it_is_about():
    common, own = "thread names: none", "native threads: 2"
    made = merged([of(A, not_seen=(common,)), of(B, not_seen=(common, own))], None, {})
    assert made.not_seen == (f"each of 2 processes: {common}", f"process {B}: {own}")


# --- leaks ----------------------------------------------------------------------------------------


def leaking(pid, size):
    leaks = held(size, pid, trend=Trend.LEAKING)
    return of(pid, leaks, leaks=(leak(leaks, rate_per_min=float(size)),))


def test_a_leak_of_one_process_says_in_which():
    made = merged([of(A, held(3)), leaking(B, 9)], None, {})
    (only,) = made.leaks
    assert made.verdict is Overall.LEAKING
    assert only.by_process == {B: 9}
    assert only.evidence[-1] == f"It leaks in 1 of 2 processes: {B} (9)."
    assert (the_group(made).size, the_group(made).verdict.trend) == (12, Trend.LEAKING)


def test_the_same_leak_in_several_is_one_leak():
    made = merged([leaking(A, 9), leaking(B, 20)], None, {})
    (only,) = made.leaks
    assert (only.by_process, only.rate_per_min) == ({B: 20, A: 9}, 29.0)
    assert only.evidence[-1] == f"It leaks in 2 of 2 processes: {B} (20), {A} (9)."


def test_many_processes_are_counted_not_listed():
    made = merged([leaking(A + n, 9 + n) for n in range(8)], None, {})
    assert made.leaks[0].evidence[-1].endswith("4714 (12) and 3 more.")


def test_the_nearest_deadline_counts():
    limit = Limit("pids.max 100", 1, 100, 1.0)
    late, soon = Deadline(limit, 900.0, 800.0, 1000.0), Deadline(limit, 60.0, 50.0, 70.0)
    made = merged([of(A, deadline=late), of(B, deadline=soon)], None, {})
    assert made.deadline == soon


def test_the_cost_of_a_thread_is_that_of_the_process_that_grew():
    grew = replace(leaking(B, 20), thread_cost=ThreadCost(50_000.0, 1.0))
    made = merged([of(A, thread_cost=ThreadCost(9.0, 0.0)), grew], None, {})
    assert made.thread_cost == ThreadCost(50_000.0, 1.0)


# --- processes that ended -------------------------------------------------------------------------


def test_what_ended_holds_nothing_and_was_there():
    gone = as_ended(of(B, held(5, B, first=5, points=points(5))), 30.0)
    made = merged([of(A, held(3, first=3, points=points(3)))], gone, {})
    only = the_group(made)
    assert (only.size, only.first, only.peak, only.departed, only.ended) == (3, 8, 8, 5, 5)
    assert only.points == (Point(0.0, 8), Point(30.0, 3))
    assert (made.threads, made.samples) == (3, 120)


def test_the_verdict_of_what_ended_counts_no_more():
    gone = as_ended(of(B, held(5, B, trend=Trend.GROWING), verdict=Overall.GROWING), 30.0)
    made = merged([of(A, held(3))], gone, {})
    assert (made.verdict, the_group(made).verdict.trend) == (Overall.CLEAN, Trend.STEADY)


def test_a_leak_of_a_process_that_ended_is_still_told():
    ended = leaking(B, 9)
    made = merged([of(A, held(3))], as_ended(ended, 30.0), past_leaks(ended, B))
    (only,) = made.leaks
    assert made.verdict is Overall.LEAKING
    assert only.by_process == {B: 9}
    assert only.evidence[-1] == f"It was in process {B}, which has ended, and its threads with it."
    assert the_group(made).verdict.trend is Trend.LEAKING


def test_a_leak_that_outlived_a_process_counts_what_is_there():
    ended = leaking(B, 9)
    made = merged([leaking(A, 20)], as_ended(ended, 30.0), past_leaks(ended, B))
    (only,) = made.leaks
    assert only.by_process == {A: 20}
    assert only.evidence[-1] == f"It also leaked in process {B}, which has ended."


def test_leaks_of_the_past_are_counted_together():
    past = next(iter(past_leaks(leaking(A, 9), A).values()))
    both = past.joined(past_leaks(leaking(B, 20), B)[past.leak.id])
    assert (both.pids, both.number, len(both.leak.leaked)) == ((A, B), 2, 20)


def test_who_joins_later_was_not_there_at_first():
    joined = as_joined(of(B, held(5, B, first=4, arrived=1, born=1)))
    only = the_group(joined)
    assert (only.first, only.arrived, only.born) == (0, 5, 5)


def test_all_have_ended():
    gone = as_ended(of(A, held(3)), 60.0)
    made = merged([], gone, {})
    assert (made.threads, the_group(made).size, made.verdict) == (0, 0, Overall.CLEAN)


def test_a_runaway_is_worse_than_growth():
    running = replace(held(3), verdict=Verdict(Trend.RUNAWAY))
    made = merged([of(A, running), of(B, held(9, B, trend=Trend.GROWING))], None, {})
    assert the_group(made).verdict.trend is Trend.RUNAWAY
