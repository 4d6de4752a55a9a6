"""Which threads leak, judged by the whole engine on scripted threads; time is in the samples.

That a healthy process stays quiet is tested as much as that a leak is named.
"""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leakscope.births import longest_likely_gap_s, moments_of
from leakscope.engine import Engine, View
from leakscope.model import Frame, Frames, RunState, Snapshot
from leakscope.policy import Trend
from leakscope.report import Overall, Report
from leakscope.spans import duration
from leakscope.stacks import Level, group_id, site
from leakscope.use import is_in_use
from tests.builders import stay
from tests.samples import (
    EXECUTOR_IDLE,
    EXECUTOR_STUCK,
    FLUSHER,
    MAIN,
    POOL_RESULTS,
    POOL_TASKS,
    POOL_WORKER,
    POOL_WORKERS,
    QUEUE_GET,
    REQUEST,
    TIMER,
    Life,
    Watched,
    every,
    in_other_order,
    lives,
    own,
    pool,
    report_on,
    series,
    started,
    tids,
    tids_of,
    watched,
)

WITH_AND_WITHOUT_KERNEL = pytest.mark.parametrize("kernel", [True, False], ids=["kernel", "bare"])

MAIN_THREAD = Life(0, frames=MAIN, name="MainThread")


def requests(until_s: float, *, per_s: float = 1.0, lasting_s: float = 5.0) -> list[Life]:
    """Request threads that come and go, now and then slower ones."""
    moments = every(1 / per_s, begin_s=-10.0, end_s=until_s)
    return [
        Life(5000 + i, at, at + lasting_s * (0.6 + 0.1 * (i % 5)), REQUEST, runs=lambda at: 1)
        for i, at in enumerate(moments)
    ]


def trend_of(frames: Frames, of: Watched) -> Trend:
    """The last verdict of the group of this stack."""
    wanted = group_id(frames, Level.FUNCTION)
    return next(g.verdict.trend for g in of.report.groups if g.id == wanted)


def assert_never_leaks(of: Watched) -> None:
    """No leak, and not a group that is called one, after any look."""
    assert of.first_named_s is None
    assert all(
        trend not in (Trend.LEAKING, Trend.RUNAWAY)
        for trends in of.trends_at.values()
        for trend in trends.values()
    )


# --- leaks --------------------------------------------------------------------------------------


def consumers(until_s: float, *, gap_s: float = 0.5, begin_s: float = 0.25) -> list[Life]:
    """Threads that wait in Queue.get for ever, one each `gap_s`."""
    return lives(every(gap_s, begin_s=begin_s, end_s=until_s), QUEUE_GET, first=1000)


@WITH_AND_WITHOUT_KERNEL
def test_steady_leak_is_named_after_half_a_minute_and_not_before(kernel):
    """The bar of the project: 2 a second, beside an idle pool and requests."""
    leaked = consumers(41)
    healthy = [MAIN_THREAD, *pool(30), *requests(41)]
    of = watched([*leaked, *healthy], until_s=40, kernel=kernel)
    assert of.first_named_s is not None
    assert 30 < of.first_named_s <= 32
    leak = of.only_leak
    assert tids(leak) == tids_of(life for life in leaked if life.began_s <= 40)
    assert leak.rate_per_min == pytest.approx(120, rel=0.03)
    assert leak.rate_basis == "watched"
    assert (leak.wait, leak.site) == ("queue.get", own())
    assert leak.groups == (group_id(QUEUE_GET, Level.FUNCTION),)
    assert of.report.verdict is Overall.LEAKING


def test_a_leak_is_called_growing_until_it_is_certain():
    of = watched([MAIN_THREAD, *consumers(21)], until_s=20)
    assert trend_of(QUEUE_GET, of) is Trend.GROWING
    assert of.report.verdict is Overall.GROWING


def test_a_leak_stays_named_for_as_long_as_it_goes_on():
    of = watched([MAIN_THREAD, *consumers(121, gap_s=2)], until_s=120)
    assert all(leaks for at, leaks in of.leaks_at.items() if at > 35)


def test_the_same_process_without_its_leak_is_clean():
    of = watched([MAIN_THREAD, *pool(30), *requests(61)], until_s=60)
    assert_never_leaks(of)
    assert of.report.verdict is Overall.CLEAN


@pytest.mark.parametrize("gap_s", [0.5, 1.0, 2.0, 3.0])
@WITH_AND_WITHOUT_KERNEL
def test_leaks_fast_and_slow_are_named_within_a_minute(gap_s, kernel):
    leaked = consumers(61, gap_s=gap_s)
    of = watched([MAIN_THREAD, *leaked], until_s=60, kernel=kernel)
    assert tids(of.only_leak) == tids_of(life for life in leaked if life.began_s <= 60)
    assert of.only_leak.rate_per_min == pytest.approx(60 / gap_s, rel=0.1)


def test_evidence_is_whole_sentences():
    of = watched([MAIN_THREAD, *consumers(61, gap_s=1)], until_s=60)
    said = of.only_leak.evidence
    assert all(sentence.endswith(".") for sentence in said)
    assert said[0].startswith("60 threads came here over 60 s, 60.0 a minute, and are still here")


def test_a_leak_that_stopped_is_no_leak_any_more():
    of = watched([MAIN_THREAD, *consumers(50)], until_s=120)
    assert of.leaks_at[45]
    assert not of.leaks
    assert trend_of(QUEUE_GET, of) is Trend.STEADY


def test_a_leak_from_before_the_watch_is_named_with_those_of_before():
    leaked = consumers(61, gap_s=1, begin_s=-120)
    of = watched([MAIN_THREAD, *leaked], until_s=60)
    assert tids(of.only_leak) == tids_of(life for life in leaked if life.began_s <= 60)


@WITH_AND_WITHOUT_KERNEL
def test_a_healthy_pool_in_the_very_stack_of_a_leak_is_not_named(kernel):
    healthy = pool(30, QUEUE_GET)
    leaked = consumers(61)
    of = watched([MAIN_THREAD, *healthy, *leaked], until_s=60, kernel=kernel)
    assert tids(of.only_leak) == tids_of(life for life in leaked if life.began_s <= 60)


@WITH_AND_WITHOUT_KERNEL
def test_of_a_stack_shared_with_short_lived_threads_mostly_the_leaked_are_named(kernel):
    leaked = {*consumers(121, gap_s=1)}
    turnover = lives(every(0.3, begin_s=-6, end_s=121), QUEUE_GET, first=3000, lasting_s=3)
    of = watched([MAIN_THREAD, *leaked, *turnover], until_s=120, kernel=kernel)
    named, truly = tids(of.only_leak), tids_of(life for life in leaked if life.began_s <= 120)
    assert len(named & truly) >= 0.9 * len(named)
    assert len(named & truly) >= 0.9 * len(truly)


def test_executors_made_per_request_leak():
    """Each is alone in its pool: ThreadPoolExecutor-0_0, ThreadPoolExecutor-1_0..."""
    workers = lives(
        every(1, begin_s=0.25, end_s=61), EXECUTOR_IDLE, first=1, names="ThreadPoolExecutor-{}_0"
    )
    of = watched([MAIN_THREAD, *workers], until_s=60)
    assert tids(of.only_leak) == tids_of(life for life in workers if life.began_s <= 60)
    assert of.only_leak.wait == "executor idle"


def test_executors_made_per_request_leak_with_all_their_workers():
    workers = [
        Life(n, n // 3 + 0.25, frames=EXECUTOR_IDLE, name=f"ThreadPoolExecutor-{n // 3}_{n % 3}")
        for n in range(1, 181)
    ]
    of = watched([MAIN_THREAD, *workers], until_s=60)
    assert tids(of.only_leak) == tids_of(life for life in workers if life.began_s <= 60)


def test_executors_with_a_name_of_their_own_leak():
    """With `thread_name_prefix` there is no number of the executor: every worker is db_0."""
    workers = lives(every(1, begin_s=0.25, end_s=61), EXECUTOR_IDLE, first=1, names="db_0")
    assert watched([MAIN_THREAD, *workers], until_s=60).leaks


def test_jobs_stuck_in_one_executor_leak():
    """A worker that never comes back from its job, so that the next job needs another."""
    workers = lives(
        every(1, begin_s=0.25, end_s=61), EXECUTOR_STUCK, first=1, names="ThreadPoolExecutor-0_{}"
    )
    of = watched([MAIN_THREAD, *workers], until_s=60)
    assert of.only_leak.site == own("fetch", 12)


def test_regular_pollers_leak():
    """They wake up by their own clock, and that is no sign of use."""
    pollers = lives(
        every(1, begin_s=0.25, end_s=61), FLUSHER, first=1, runs=lambda at: 1 + int(at / 2)
    )
    of = watched([MAIN_THREAD, *pollers], until_s=60)
    assert len(tids(of.only_leak)) >= 55
    assert any("they poll" in sentence for sentence in of.only_leak.evidence)


def test_parked_threads_are_said_never_to_run_again():
    of = watched([MAIN_THREAD, *consumers(61, gap_s=2)], until_s=60)
    assert any("None of them has run again" in sentence for sentence in of.only_leak.evidence)


def test_without_the_kernel_nothing_is_said_of_running():
    of = watched([MAIN_THREAD, *consumers(61, gap_s=2)], until_s=60, kernel=False)
    assert not any("run again" in said or "poll" in said for said in of.only_leak.evidence)


def chain(first: int, begin_s: float, until_s: float, *, gap_s: float = 5.0) -> list[Life]:
    """Timers, each of which starts the next when it fires."""
    moments = every(gap_s, begin_s=begin_s, end_s=until_s)
    return lives(moments, TIMER, first=first, lasting_s=gap_s)


@WITH_AND_WITHOUT_KERNEL
def test_timers_that_rearm_themselves_ever_more_often_leak(kernel):
    """Each thread ends after 5 s, and still their number grows."""
    begins = every(3, begin_s=-9.1, end_s=90)
    chains = [
        life for i, begin_s in enumerate(begins) for life in chain(1000 + 100 * i, begin_s, 100)
    ]
    of = watched([MAIN_THREAD, *chains], until_s=90, kernel=kernel)
    assert of.only_leak.wait == "timer"
    assert of.only_leak.rate_per_min == pytest.approx(20, rel=0.2)


def looping(number: int, began_s: float) -> Life:
    """A loop that never ends: another innermost function at every look."""
    stacks = [started(own(f"step_{n}", n), own("spin", 9)) for n in range(1, 6)]
    chosen = random.Random(number)
    order = [chosen.randrange(5) for _ in range(200)]
    return Life(
        number,
        began_s,
        frames=lambda at: stacks[order[int(at)]],
        state=RunState.RUNNING,
        runs=lambda at: int(10 * at),
    )


@WITH_AND_WITHOUT_KERNEL
def test_runaway_loops_are_one_leak_that_lists_its_functions(kernel):
    loops = [looping(n, 2.0 * n + 0.25) for n in range(1, 40)]
    of = watched([MAIN_THREAD, *loops], until_s=75, kernel=kernel)
    leak = of.only_leak
    assert leak.trend is Trend.RUNAWAY
    assert leak.id.startswith("entry-")
    assert tids(leak) == tids_of(life for life in loops if life.began_s <= 72)
    shown = {group.id for group in of.report.groups}
    assert len(leak.groups) == 5
    assert set(leak.groups) <= shown
    assert leak.rate_per_min == pytest.approx(30, rel=0.1)


def thread_pools(until_s: float, *, gap_s: float = 2.0) -> list[Life]:
    """A ThreadPool(4) each `gap_s` that nobody closes: 4 workers and 3 handlers each."""
    stacks = (*[POOL_WORKER] * 4, POOL_WORKERS, POOL_TASKS, POOL_RESULTS)
    return [
        Life(7 * i + n, began_s + 0.01 * n, frames=frames, name=f"Thread-{7 * i + n} (worker)")
        for i, began_s in enumerate(every(gap_s, begin_s=0.25, end_s=until_s), 1)
        for n, frames in enumerate(stacks)
    ]


@WITH_AND_WITHOUT_KERNEL
def test_threads_that_are_born_together_are_one_leak(kernel):
    threads = thread_pools(61)
    of = watched([MAIN_THREAD, *threads], until_s=60, kernel=kernel)
    leak = of.only_leak
    assert len(leak.groups) == 4
    assert tids(leak) == tids_of(life for life in threads if life.began_s <= 60)
    assert "one object each 2.0 s, 7 threads each, in 4 stacks." in leak.evidence[0]
    assert leak.rate_per_min == pytest.approx(7 * 30, rel=0.05)


def test_two_leaks_with_rhythms_of_their_own_are_two():
    other = lives(every(1.7, begin_s=0.9, end_s=91), FLUSHER, first=4000)
    leaked = consumers(91, gap_s=1)
    of = watched([MAIN_THREAD, *leaked, *other], until_s=90)
    assert len(of.leaks) == 2
    assert not tids(of.leaks[0]) & tids(of.leaks[1])
    assert tids(of.leaks[0]) == tids_of(life for life in leaked if life.began_s <= 90)


# --- what looks like a leak and is none ---------------------------------------------------------


@pytest.mark.parametrize("gap_s", [0.2, 0.5, 1.0])
@WITH_AND_WITHOUT_KERNEL
def test_a_pool_that_fills_up_and_stops_never_leaks(gap_s, kernel):
    workers = lives(every(gap_s, begin_s=0.25, end_s=20), QUEUE_GET, first=1)
    of = watched([MAIN_THREAD, *workers], until_s=120, kernel=kernel)
    assert_never_leaks(of)
    assert of.report.verdict is Overall.CLEAN
    assert trend_of(QUEUE_GET, of) is Trend.STEADY


@WITH_AND_WITHOUT_KERNEL
def test_one_executor_that_fills_up_never_leaks_however_slowly(kernel):
    workers = lives(
        every(2, begin_s=0.25, end_s=80), EXECUTOR_IDLE, first=1, names="ThreadPoolExecutor-0_{}"
    )
    of = watched([MAIN_THREAD, *workers], until_s=120, kernel=kernel)
    assert_never_leaks(of)
    assert set(of.trends_at[60].values()) == {Trend.WARMING, Trend.STEADY}


def test_an_executor_with_a_name_of_its_own_that_fills_up_never_leaks():
    workers = lives(every(2, begin_s=0.25, end_s=80), EXECUTOR_IDLE, first=1, names="db_{}")
    assert_never_leaks(watched([MAIN_THREAD, *workers], until_s=120))


@pytest.mark.parametrize("per_s", [1.0, 5.0, 20.0])
@WITH_AND_WITHOUT_KERNEL
def test_requests_that_come_and_go_never_leak(per_s, kernel):
    of = watched([MAIN_THREAD, *requests(91, per_s=per_s)], until_s=90, kernel=kernel)
    assert_never_leaks(of)
    assert trend_of(REQUEST, of) is Trend.CHURNING


def ramp(until_s: float, *, lasting_s: float, per_s2: float) -> list[Life]:
    """Requests that come ever faster, by `per_s2` a second each second."""
    moments: list[float] = []
    at = 0.0
    while at < until_s:
        at += 1 / (0.5 + per_s2 * at)
        moments.append(at)
    return lives(moments, REQUEST, first=1, lasting_s=lasting_s)


@WITH_AND_WITHOUT_KERNEL
def test_a_ramp_of_requests_of_5_s_never_leaks(kernel):
    """Their number grows for two minutes, and each of them ends."""
    of = watched([MAIN_THREAD, *ramp(121, lasting_s=5, per_s2=0.1)], until_s=120, kernel=kernel)
    assert_never_leaks(of)


@WITH_AND_WITHOUT_KERNEL
def test_ever_more_requests_of_25_s_never_leak(kernel):
    """By the time that a verdict is given the first of them have ended."""
    of = watched([MAIN_THREAD, *ramp(121, lasting_s=25, per_s2=0.05)], until_s=120, kernel=kernel)
    assert_never_leaks(of)


@pytest.mark.parametrize("within_s", [0.2, 2.0])
@WITH_AND_WITHOUT_KERNEL
def test_a_burst_that_stays_never_leaks(within_s, kernel):
    burst = lives((40 + i * within_s / 50 for i in range(50)), QUEUE_GET, first=1)
    assert_never_leaks(watched([MAIN_THREAD, *burst], until_s=120, kernel=kernel))


@WITH_AND_WITHOUT_KERNEL
def test_a_sawtooth_never_leaks(kernel):
    """A batch that starts a thread a second and ends them all at its end."""
    threads = [Life(n, n + 0.25, 20.0 * (n // 20 + 1), QUEUE_GET) for n in range(1, 141)]
    assert_never_leaks(watched([MAIN_THREAD, *threads], until_s=139, kernel=kernel))


@WITH_AND_WITHOUT_KERNEL
def test_periodic_timers_never_leak(kernel):
    chains = [life for i in range(20) for life in chain(1000 + 100 * i, -6 + 0.21 * i, 100)]
    assert_never_leaks(watched([MAIN_THREAD, *chains], until_s=90, kernel=kernel))


def woken_at_random(number: int, began_s: float) -> Life:
    """A thread that stays, and is given work now and then, at no even times."""
    chance = random.Random(number)
    wakes = [0]
    for _ in range(200):
        wakes.append(wakes[-1] + (chance.random() < 0.35))
    return Life(number, began_s, runs=lambda at: wakes[int(at)])


@pytest.mark.parametrize("seed", [1000, 2000, 3000])
def test_threads_that_are_given_work_never_leak(seed):
    """Such as one for each client that stays connected. Without counters they look like a leak."""
    used = [woken_at_random(seed + i, 1.5 * i + 0.25) for i in range(60)]
    assert_never_leaks(watched([MAIN_THREAD, *used], until_s=89))


@pytest.mark.parametrize("seed", [1000, 2000, 3000])
def test_threads_that_are_given_work_are_no_leak_once_growth_ends(seed):
    used = [woken_at_random(seed + i, 1.5 * i + 0.25) for i in range(14)]
    assert_never_leaks(watched([MAIN_THREAD, *used], until_s=120))


def test_threads_that_are_given_work_are_not_named_with_a_leak_in_their_stack():
    """They came one by one, just like the leaked ones, before the watch began."""
    used = [woken_at_random(1000 + i, -2.0 * i) for i in range(20)]
    leaked = lives(every(2, begin_s=0.25, end_s=121), QUEUE_GET, first=2000)
    of = watched([MAIN_THREAD, *used, *leaked], until_s=120)
    assert tids(of.only_leak) == tids_of(life for life in leaked if life.began_s <= 120)


EVEN, UNEVEN = 0.5, 3.0


@pytest.mark.parametrize(
    ("visits", "looks", "ran_looks", "rest_spread_s", "in_use"),
    [
        pytest.param(1, 30, 0, 0.0, False, id="never ran"),
        pytest.param(1, 30, 10, EVEN, False, id="runs by a clock of its own"),
        pytest.param(1, 30, 10, UNEVEN, True, id="is woken at random"),
        pytest.param(1, 30, 1, 0.0, True, id="ran too seldom to have a clock"),
        pytest.param(1, 30, 2, EVEN, True, id="ran twice"),
        pytest.param(2, 30, 0, 0.0, False, id="came half-way and went on"),
        pytest.param(3, 30, 0, 0.0, True, id="goes out and comes back"),
    ],
)
def test_a_thread_in_use(visits, looks, ran_looks, rest_spread_s, in_use):
    member = stay(
        visits=visits,
        looks=looks,
        ran_looks=ran_looks,
        mean_rest_s=3.0,
        rest_spread_s=rest_spread_s,
        last_ran_s=29.0 if ran_looks else None,
    )
    assert is_in_use(member, 1.0) is in_use


def test_threads_that_go_out_to_work_never_leak():
    def at_work_every_fourth_look(at: float) -> Frames:
        return REQUEST if int(at) % 4 == 0 else QUEUE_GET

    workers = lives(every(2, begin_s=0.25, end_s=61), first=1)
    used = [replace(worker, frames=at_work_every_fourth_look) for worker in workers]
    of = watched([MAIN_THREAD, *used], until_s=120, kernel=False)
    assert_never_leaks(of)


def test_busy_workers_of_a_pool_are_no_runaways():
    workers = [replace(looping(n, -100.0), number=n) for n in range(1, 9)]
    assert_never_leaks(watched([MAIN_THREAD, *workers], until_s=90))


# --- properties ---------------------------------------------------------------------------------

SOME_STACKS = (QUEUE_GET, EXECUTOR_IDLE, FLUSHER, TIMER, POOL_WORKER, REQUEST, MAIN)


@settings(max_examples=25, deadline=None)
@given(
    stacks=st.lists(st.sampled_from(SOME_STACKS), max_size=20),
    seed=st.integers(0, 10**6),
    interval_s=st.sampled_from([0.5, 1.0, 2.0]),
    kernel=st.booleans(),
)
def test_what_stays_the_same_never_leaks(stacks, seed, interval_s, kernel):
    """However its threads once came, and whatever they wait in."""
    births = random.Random(seed)
    threads = [Life(n, births.uniform(-300, 0), frames=frames) for n, frames in enumerate(stacks)]
    of = watched(threads, until_s=45 * interval_s, interval_s=interval_s, kernel=kernel)
    assert_never_leaks(of)
    assert {trend for trends in of.trends_at.values() for trend in trends.values()} <= {
        Trend.STEADY
    }
    assert of.report.verdict is Overall.CLEAN


def mixed(until_s: float) -> list[Life]:
    """A leak, its lines not all the same, among much that is healthy."""
    at_lines = [started(*QUEUE_GET[:2], own(line=40 + n)) for n in range(3)]
    leaked = [
        replace(life, frames=at_lines[life.number % 3]) for life in consumers(until_s, gap_s=1)
    ]
    passing = [
        replace(life, frames=at_lines[life.number % 3])
        for life in requests(30, per_s=2, lasting_s=2)
    ]
    return [
        MAIN_THREAD,
        *leaked,
        *passing,
        *requests(until_s, per_s=1, lasting_s=4)[100:],
        *[replace(life, number=life.number + 20000) for life in thread_pools(12)],
        *pool(5, first=9000),
    ]


def findings_of(report: Report) -> tuple[object, ...]:
    """What a report says of groups and leaks: all but when it was made."""
    return (report.verdict, report.leaks, report.groups, report.threads, report.total_points)


MIXED = {kernel: tuple(series(mixed(46), until_s=45, kernel=kernel)) for kernel in (True, False)}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), kernel=st.booleans())
def test_order_of_threads_in_a_dump_does_not_matter(seed, kernel):
    chance = random.Random(seed)
    shuffled = [
        in_other_order(sample, chance.shuffle) if isinstance(sample, Snapshot) else sample
        for sample in MIXED[kernel]
    ]
    assert findings_of(report_on(shuffled)) == findings_of(report_on(MIXED[kernel]))


@settings(max_examples=15, deadline=None)
@given(missed=st.sets(st.integers(1, 59), max_size=4), kernel=st.booleans())
def test_missed_samples_change_no_verdict(missed, kernel):
    threads = [MAIN_THREAD, *pool(10), *consumers(61, gap_s=1), *requests(61)]
    whole = watched(threads, until_s=60, kernel=kernel)
    with_gaps = watched(threads, until_s=60, kernel=kernel, without=missed)
    assert with_gaps.report.missed == len(missed)
    assert with_gaps.report.verdict is whole.report.verdict is Overall.LEAKING
    assert tids(with_gaps.only_leak) == tids(whole.only_leak)


@settings(max_examples=15, deadline=None)
@given(missed=st.sets(st.integers(1, 59), max_size=10), kernel=st.booleans())
def test_missed_samples_make_no_leak(missed, kernel):
    healthy = [MAIN_THREAD, *pool(10), *requests(61), *consumers(15, gap_s=1)]
    of = watched(healthy, until_s=60, kernel=kernel, without=missed)
    assert_never_leaks(of)
    assert of.report.verdict is Overall.CLEAN


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6), gap_s=st.floats(0.3, 1.5), interval_s=st.sampled_from([0.5, 1, 2])
)
def test_a_leak_at_uneven_times_is_named_whatever_the_interval(seed, gap_s, interval_s):
    chance = random.Random(seed)
    moments = [0.1]
    while moments[-1] < 41:
        moments.append(moments[-1] + gap_s * chance.uniform(0.3, 1.7))
    leaked = lives(moments, first=1)
    of = watched([MAIN_THREAD, *leaked], until_s=40, interval_s=interval_s)
    assert tids(of.only_leak) == tids_of(life for life in leaked if life.began_s <= 40)


# --- small parts of judgement -------------------------------------------------------------------


def test_threads_that_come_within_half_a_second_come_together():
    assert moments_of([3.0, 0.0, 0.4, 0.5, 1.2]) == [0.0, 1.2, 3.0]


@given(st.lists(st.floats(0, 1000), max_size=30))
def test_moments_are_apart_and_among_the_arrivals(arrivals):
    moments = moments_of(arrivals)
    assert set(moments) <= set(arrivals)
    assert all(later - earlier > 0.5 for earlier, later in pairwise(moments))


@given(st.lists(st.floats(0.6, 100), min_size=1, max_size=30))
def test_longest_likely_gap_is_two_and_a_half_to_four_mean_gaps(gaps_s):
    moments = [0.0]
    for gap_s in gaps_s:
        moments.append(moments[-1] + gap_s)
    mean_s = moments[-1] / len(gaps_s)
    assert 2.49 * mean_s <= longest_likely_gap_s(moments) <= 4.01 * mean_s


def test_one_moment_has_no_gaps():
    assert longest_likely_gap_s([7.0]) == 0.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (4.21, "4.2 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (119, "119 s"),
        (120, "2 min"),
        (720, "12 min"),
        (7200, "2 h"),
        (22_200, "6 h 10 min"),
        (172_800, "2 d 0 h"),
        (180_000, "2 d 2 h"),
    ],
)
def test_spans_of_time_for_people(seconds, text):
    assert duration(seconds) == text


# --- the verdict of the process -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("until_s", "interval_s", "verdict"),
    [
        (0, 1.0, Overall.UNKNOWN),
        (9, 1.0, Overall.UNKNOWN),
        (10, 1.0, Overall.CLEAN),
        (20, 5.0, Overall.UNKNOWN),  # five samples only
        (35, 5.0, Overall.CLEAN),
    ],
)
def test_clean_needs_time_and_samples(until_s, interval_s, verdict):
    of = watched([MAIN_THREAD, *pool(3)], until_s=until_s, interval_s=interval_s)
    assert of.report.verdict is verdict


def test_a_clean_report_says_what_it_could_have_noticed():
    assert watched([MAIN_THREAD], until_s=120).report.noticeable_per_min == pytest.approx(4)


def test_a_short_watch_says_what_growth_it_could_have_noticed():
    assert watched([MAIN_THREAD], until_s=15).report.noticeable_per_min == pytest.approx(20)
    assert watched([MAIN_THREAD], until_s=9).report.noticeable_per_min is None


def test_leaks_are_listed_biggest_first_and_their_groups_are_shown():
    slow = lives(every(2.3, begin_s=0.9, end_s=91), FLUSHER, first=4000)
    of = watched([MAIN_THREAD, *slow, *consumers(91, gap_s=1)], until_s=90)
    sizes = [len(leak.leaked) for leak in of.leaks]
    assert all(bigger >= smaller for bigger, smaller in pairwise(sizes))
    named = {id_ for leak in of.leaks for id_ in leak.groups}
    assert named <= {group.id for group in of.report.groups}


def shown_at(level: Level, threads: list[Life], until_s: float) -> dict[int, Trend]:
    """The verdicts of the groups of `consume` at a level, by the line that each is at."""
    engine = Engine(View(level=level))
    for sample in series(threads, until_s=until_s):
        engine.observe(sample)
    sites = {site(judged.facts.frames): judged.verdict.trend for judged in engine.findings().groups}
    return {at.line: trend for at, trend in sites.items() if at and at.function == "consume"}


def getting_at(line: int) -> Frames:
    """A thread that waits for an item in this line of `consume`."""
    return tuple(replaced(frame, line) for frame in QUEUE_GET)


def replaced(frame: Frame, line: int) -> Frame:
    return frame._replace(line=line) if frame.function == "consume" else frame


def at_two_lines(gap_s: float, until_s: float) -> list[Life]:
    """A thread of `consume` each `gap_s`, each second one at another line of it."""
    moments = every(gap_s, begin_s=1.0, end_s=until_s + 1.0)
    return [
        MAIN_THREAD,
        *lives(moments[::2], getting_at(41), first=100),
        *lives(moments[1::2], getting_at(55), first=500),
    ]


@pytest.mark.parametrize("level", [Level.LINE, Level.ENTRY])
@pytest.mark.parametrize(
    ("gap_s", "until_s", "trend"), [(1.0, 90.0, Trend.LEAKING), (2.0, 15.0, Trend.GROWING)]
)
def test_whatever_is_shown_the_verdict_is_that_of_the_function(level, gap_s, until_s, trend):
    """At neither line alone there may be enough to tell."""
    threads = at_two_lines(gap_s, until_s)
    assert shown_at(Level.FUNCTION, threads, until_s) == {41: trend}
    assert set(shown_at(level, threads, until_s).values()) == {trend}
