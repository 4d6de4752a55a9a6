"""Threads that ran because the process was stopped, told from those that something woke."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from leakscope.model import Ran, ThreadKey
from leakscope.report import Overall, Report
from leakscope.stops import Woken
from leakscope.stops import merely_stopped as told
from tests.samples import (
    EXECUTOR_IDLE,
    FLUSHER,
    MAIN,
    Life,
    every,
    key,
    lives,
    report_on,
    series,
)

# At no even times: even ones would be a clock's.
MOMENTS_S = (9.5, 12.5, 31.5, 40.5, 55.5)
WATCHED_S = 60.0


def woken(*runs: int, places: int = 3, rested: bool = True) -> list[Woken]:
    """Threads that ran so often, in as many places as there are."""
    return [
        Woken(Ran(key(number), times, 0), str(number % places), rested)
        for number, times in enumerate(runs)
    ]


def merely_stopped(
    those: list[Woken], others: int = 0, *, was_held: bool = False, is_held: bool = False
) -> frozenset[ThreadKey]:
    return told(those, others, was_held=was_held, is_held=is_held)


def test_what_was_stopped_ran_twice_to_stop_and_to_go_on():
    assert merely_stopped(woken(*[2] * 10)) == {key(number) for number in range(10)}


def test_two_stops_between_two_looks_are_told_as_well():
    assert len(merely_stopped(woken(*[4] * 10))) == 10


def test_what_did_more_than_stop_is_left_out():
    assert key(0) not in merely_stopped(woken(5, *[2] * 19))
    assert len(merely_stopped(woken(5, *[2] * 19))) == 19


def test_of_threads_that_run_all_the_time_nothing_is_said():
    both = [*woken(*[2] * 10), *woken(*range(50), rested=False)]
    assert len(merely_stopped(both)) == 10


@pytest.mark.parametrize(
    ("those", "others"),
    [
        (woken(*[2] * 10), 1),
        (woken(*[2] * 7), 0),
        (woken(*[2] * 10, places=2), 0),
        (woken(*[2] * 10, rested=False), 0),
        (woken(*[1] * 10), 0),
        (woken(*[2] * 17, *[3] * 3), 0),
        ([], 0),
    ],
    ids=[
        "one has not run",
        "too few",
        "of two stacks",
        "they run all the time",
        "they ran once",
        "each as often as it needed",
        "nothing ran",
    ],
)
def test_what_was_woken_is_taken_for_use(those, others):
    assert merely_stopped(those, others) == frozenset()


@pytest.mark.parametrize(("was_held", "is_held"), [(False, True), (True, False)])
def test_of_a_stop_that_a_look_falls_into_a_half_lies_on_either_side(was_held, is_held):
    """Then it is known that it was one: it takes neither many threads nor all of them."""
    those = woken(1, 1, 2, 3)  # the last one has done something as well
    expected = {key(0), key(1), key(2)}
    assert merely_stopped(those, 5, was_held=was_held, is_held=is_held) == expected


def test_let_go_and_stopped_again_between_two_looks():
    assert merely_stopped(woken(2, 3), 5, was_held=True, is_held=True) == {key(0)}


# --- in a watch -----------------------------------------------------------------------------------


def ran_at(times: int) -> Callable[[float], int]:
    """How often a thread has run that runs so often at each of the moments."""
    return lambda at: 1 + times * sum(moment <= at for moment in MOMENTS_S)


def polled(at: float) -> int:
    """How often a thread has run that runs all the time."""
    return int(10 * at)


def watch(*threads: Life) -> Report:
    """What is said of these threads, and of more that keep coming and stay in Queue.get."""
    came = lives(every(2.0, begin_s=0.5, end_s=WATCHED_S), first=100, runs=ran_at(2))
    return report_on(series([*threads, *came], until_s=WATCHED_S))


def test_a_leak_is_found_though_somebody_stops_the_process_now_and_then():
    stopped = ran_at(2)
    report = watch(
        Life(1, frames=MAIN, runs=stopped),
        Life(2, frames=FLUSHER, runs=stopped),
        *(Life(10 + n, frames=EXECUTOR_IDLE, runs=stopped) for n in range(8)),
    )
    assert report.verdict is Overall.LEAKING
    assert "None of them has run again" in " ".join(report.leaks[0].evidence)
    (said,) = [line for line in report.not_seen if "stopped the whole process" in line]
    assert "5 times" in said


def test_clients_that_are_sent_something_at_once_are_in_use():
    """All threads have run then, too: the main one polls, and it is that which sends."""
    report = watch(Life(1, frames=MAIN, runs=polled))
    assert report.verdict is not Overall.LEAKING
    assert not any("stopped the whole process" in line for line in report.not_seen)
