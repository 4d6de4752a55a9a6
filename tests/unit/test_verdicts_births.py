"""Growth from before the watch, judged by the whole engine: what births prove and what not."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace

import pytest

from leakscope.engine import Engine
from leakscope.model import Frames, Parking
from leakscope.policy import Trend
from leakscope.report import Overall, Report
from leakscope.stacks import Level, group_id
from tests.samples import (
    EXECUTOR_IDLE,
    FLUSHER,
    MAIN,
    POOL_WORKER,
    QUEUE_GET,
    REQUEST,
    TIMER,
    Life,
    every,
    lib,
    lives,
    own,
    report_of,
    report_on,
    run_by,
    series,
    snapshot,
    started,
    thread,
    tids,
    tids_of,
    watched,
)

UP_FOR_S = 12_500.0
MAIN_THREAD = Life(0, -UP_FOR_S, frames=MAIN, name="MainThread")
TEN_MIN = 600.0
AT_MOST_GROWING = {Trend.STEADY, Trend.GROWING, Trend.WARMING, Trend.CHURNING}

CONNECTION = started(
    own("Handler.handle", 12),
    lib("socketserver.py", "BaseRequestHandler.__init__", 761),
    lib("socketserver.py", "BaseServer.finish_request", 362),
    lib("socketserver.py", "ThreadingMixIn.process_request_thread", 697),
)
WEB_CONNECTION = started(
    lib("socket.py", "SocketIO.readinto", 718),
    lib("http/server.py", "BaseHTTPRequestHandler.handle_one_request", 405),
    lib("http/server.py", "BaseHTTPRequestHandler.handle", 439),
    lib("socketserver.py", "BaseRequestHandler.__init__", 761),
    lib("socketserver.py", "ThreadingMixIn.process_request_thread", 697),
)
SITE = "site-packages"
WAITRESS = started(
    lib("threading.py", "Condition.wait", 327),
    lib(f"{SITE}/waitress/task.py", "ThreadedTaskDispatcher.handler_thread", 67),
)
CHEROOT = run_by(
    lib("threading.py", "Condition.wait", 327),
    lib("queue.py", "Queue.get", 171),
    lib(f"{SITE}/cheroot/workers/threadpool.py", "WorkerThread.run", 111),
)
ANYIO = run_by(
    lib("threading.py", "Condition.wait", 327),
    lib("queue.py", "Queue.get", 171),
    lib(f"{SITE}/anyio/_backends/_asyncio.py", "WorkerThread.run", 970),
)
IN_SOCKET = started(lib("socket.py", "SocketIO.readinto", 718), own("Client.listen", 30))


def slowly(
    number: int = 20,
    frames: Frames = QUEUE_GET,
    *,
    gap_s: float = TEN_MIN,
    last_s: float = -100.0,
    first: int = 100,
    names: str = "Thread-{}",
) -> list[Life]:
    """Threads from before the watch, one each gap, the last so long ago; not one ran since."""
    begin_s = last_s - (number - 1) * gap_s
    moments = [begin_s + i * gap_s for i in range(number)]
    return lives(moments, frames, first=first, names=names)


def at_once(number: int, frames: Frames = QUEUE_GET, *, first: int = 5000) -> list[Life]:
    """A pool that was there from the start of the process."""
    return lives([-UP_FOR_S + 1 + 0.002 * i for i in range(number)], frames, first=first)


def trend(report: Report, frames: Frames) -> Trend:
    """The verdict of the group of this stack."""
    return next(g.verdict.trend for g in report.groups if g.id == group_id(frames, Level.FUNCTION))


def evidence(report: Report, frames: Frames) -> tuple[str, ...]:
    """What is said of the group of this stack."""
    wanted = group_id(frames, Level.FUNCTION)
    return next(g.verdict.evidence for g in report.groups if g.id == wanted)


def looked_at_once(threads: list[Life]) -> Report:
    """The report of one look, as `dump` makes it."""
    engine = Engine()
    engine.policy = replace(engine.policy, one_look=True)
    for sample in series(threads, until_s=0):
        engine.observe(sample)
    return report_of(engine)


# --- named by births ------------------------------------------------------------------------------


def test_a_leak_of_one_thread_each_ten_minutes_is_named_at_once():
    leaked = slowly(20)
    of = watched([MAIN_THREAD, *leaked], until_s=3)
    assert of.first_named_s == 0.0
    leak = of.only_leak
    assert tids(leak) == tids_of(leaked)
    assert leak.rate_basis == "births"
    assert leak.rate_per_min == pytest.approx(0.1)
    assert leak.evidence[0] == (
        "20 threads, started one by one over 3 h 10 min, 0.1 a minute, none in a burst."
    )
    assert of.report.verdict is Overall.LEAKING


def test_a_leak_named_by_births_stays_named_for_as_long_as_growth_may_go_on():
    of = watched([MAIN_THREAD, *slowly(20)], until_s=60)
    assert all(leaks for leaks in of.leaks_at.values())


def test_a_pool_born_in_a_burst_beside_it_is_not_named():
    leaked, pool = slowly(20), at_once(30, EXECUTOR_IDLE)
    of = watched([MAIN_THREAD, *pool, *leaked], until_s=40)
    assert tids(of.only_leak) == tids_of(leaked)
    assert trend(of.report, EXECUTOR_IDLE) is Trend.STEADY
    assert all(trends[group_id(EXECUTOR_IDLE, Level.FUNCTION)] is Trend.STEADY
               for trends in of.trends_at.values())  # fmt: skip


def test_a_pool_born_in_a_burst_in_the_same_stack_is_not_named():
    leaked, pool = slowly(20), at_once(30)
    of = watched([MAIN_THREAD, *pool, *leaked], until_s=3)
    assert of.first_named_s == 0.0
    assert tids(of.only_leak) == tids_of(leaked)


@pytest.mark.parametrize("frames", [QUEUE_GET, FLUSHER, TIMER, POOL_WORKER])
def test_waits_inside_the_process_are_named_by_births(frames):
    of = watched([MAIN_THREAD, *slowly(20, frames)], until_s=1)
    assert of.leaks


def test_pollers_are_named_by_births_before_they_are_seen_to_poll():
    pollers = [replace(life, runs=lambda at: 1 + int(at / 2)) for life in slowly(20, FLUSHER)]
    of = watched([MAIN_THREAD, *pollers], until_s=20)
    assert of.leaks_at[0.0]
    assert tids(of.only_leak) == tids_of(pollers)


def test_executors_made_by_the_way_are_named_by_births():
    workers = slowly(20, EXECUTOR_IDLE, names="ThreadPoolExecutor-{}_0")
    assert tids(watched([MAIN_THREAD, *workers], until_s=1).only_leak) == tids_of(workers)


@pytest.mark.parametrize("kernel", [True, False])
def test_without_the_kernel_births_are_not_known(kernel):
    of = watched([MAIN_THREAD, *slowly(20)], until_s=20, kernel=kernel)
    assert bool(of.leaks) is kernel


def test_one_look_names_a_young_leak_that_a_watch_does_not_yet():
    """Four a second since the process began, 20 s ago: bar 3, without the process."""
    main = Life(0, -20.5, frames=MAIN, name="MainThread")
    leaked = slowly(80, gap_s=0.25, last_s=-0.1)
    requests = lives(every(0.1, begin_s=-0.4, end_s=0), REQUEST, first=3000)
    pool = lives([-20.4 + 0.002 * i for i in range(30)], EXECUTOR_IDLE, first=5000)
    threads = [main, *pool, *requests, *leaked]
    report = looked_at_once(threads)
    (leak,) = report.leaks
    assert tids(leak) == tids_of(leaked)
    assert leak.rate_per_min == pytest.approx(240, rel=0.01)
    assert not watched(threads, until_s=0).leaks


# Two threads in each of two waits: which is the commonest must be the same for a replay as live.
_TIE = """
from leakscope.facts import common_wait
from tests.builders import stay
print(common_wait([stay(n, wait=wait) for n, wait in enumerate(["lock", "event"] * 2)]))
"""


def test_the_commonest_wait_is_the_same_in_every_run():
    said = {
        subprocess.run(
            [sys.executable, "-c", _TIE],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            text=True,
        ).stdout
        for seed in range(6)
    }
    assert len(said) == 1


# --- not named ------------------------------------------------------------------------------------


def test_unknown_waits_are_not_told_by_the_few_that_are_known():
    """Of one in twenty the kernel says that it waits at a lock, of the others nothing."""
    futex = Parking(202, "futex_do_wait", deadline=False, futex=0x7F00)
    threads = [
        thread(
            life.number,
            REQUEST,
            born_s=life.began_s,
            parking=futex if life.number == 100 else Parking(),
            runs=1,
            cpu_ticks=0,
        )
        for life in slowly(20)
    ]
    main = thread(0, MAIN, born_s=-UP_FOR_S, runs=1, cpu_ticks=0)
    report = report_on([snapshot(main, *threads)])
    assert not report.leaks


@pytest.mark.parametrize("number", [8, 15])
def test_few_births_are_growing_at_most(number):
    of = watched([MAIN_THREAD, *slowly(number)], until_s=3)
    assert not of.leaks
    assert trend(of.report, QUEUE_GET) is Trend.GROWING
    assert evidence(of.report, QUEUE_GET)[-1].startswith("Watching for ")


def test_seven_births_are_not_even_growing():
    of = watched([MAIN_THREAD, *slowly(7)], until_s=3)
    assert trend(of.report, QUEUE_GET) is Trend.STEADY


@pytest.mark.parametrize(
    ("last_s", "ago"), [(-3000.0, "50 min"), (-1_620.0, "27 min"), (-7200.0, "2 h")]
)
def test_growth_that_has_stopped_is_steady_and_it_is_said_when(last_s, ago):
    main = replace(MAIN_THREAD, began_s=-30_000.0)
    of = watched([main, *slowly(20, last_s=last_s)], until_s=3)
    assert of.first_named_s is None
    assert trend(of.report, QUEUE_GET) is Trend.STEADY
    assert evidence(of.report, QUEUE_GET)[-1].startswith(f"Grew until {ago} ago: ")


def test_a_leak_stops_being_one_when_no_more_come():
    """Gaps of 20 s: after 50 s, two and a half of them, growth is over."""
    leaked = slowly(40, gap_s=20, last_s=-5.0)
    of = watched([MAIN_THREAD, *leaked], until_s=60)
    assert of.leaks_at[40.0]
    assert not of.leaks_at[50.0]
    assert trend(of.report, QUEUE_GET) is Trend.STEADY
    assert evidence(of.report, QUEUE_GET)[-1].startswith("Grew until 65 s ago: ")


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("mean_s", [30.0, 300.0, 3000.0])
def test_healthy_turnover_is_no_leak(seed, mean_s):
    """Threads that come at random and stay for an exponential time, 40 of them at a time."""
    chance = random.Random(seed)
    threads: list[Life] = []
    at = -10 * mean_s
    while at < 20:
        at += chance.expovariate(40 / mean_s)
        threads.append(Life(len(threads) + 1, at, at + chance.expovariate(1 / mean_s)))
    main = replace(MAIN_THREAD, began_s=-10 * mean_s - 10)
    of = watched([main, *threads], until_s=20)
    assert of.first_named_s is None
    assert not looked_at_once([main, *threads]).leaks


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(CONNECTION, id="handler of socketserver"),
        pytest.param(WEB_CONNECTION, id="http.server"),
        pytest.param(IN_SOCKET, id="any socket"),
        pytest.param(WAITRESS, id="waitress"),
        pytest.param(CHEROOT, id="cheroot"),
        pytest.param(ANYIO, id="anyio"),
    ],
)
def test_connections_and_bounded_pools_are_growing_at_most(frames):
    threads = [MAIN_THREAD, *slowly(60, frames, gap_s=150)]
    of = watched(threads, until_s=5)
    assert of.first_named_s is None
    assert trend(of.report, frames) in AT_MOST_GROWING
    report = looked_at_once(threads)
    assert not report.leaks
    assert trend(report, frames) in AT_MOST_GROWING


@pytest.mark.parametrize("frames", [CONNECTION, WEB_CONNECTION])
def test_of_connections_it_is_said_who_may_hold_them(frames):
    of = watched([MAIN_THREAD, *slowly(60, frames, gap_s=150)], until_s=5)
    assert trend(of.report, frames) is Trend.GROWING
    assert evidence(of.report, frames)[-1].startswith("Whoever is at the other end")


@pytest.mark.parametrize("names", ["ThreadPoolExecutor-0_{}", "db_{}"])
def test_one_executor_that_filled_up_slowly_is_no_leak(names):
    threads = [MAIN_THREAD, *slowly(40, EXECUTOR_IDLE, names=names, gap_s=300)]
    assert watched(threads, until_s=5).first_named_s is None
    assert not looked_at_once(threads).leaks


def given_work(life: Life, chance: random.Random) -> Life:
    """The thread, woken a dozen times in a minute, at no even times."""
    wakes = [chance.uniform(0, 60) for _ in range(12)]
    return replace(life, runs=lambda at: 1 + sum(woken_s <= at for woken_s in wakes))


def test_threads_that_are_given_work_are_no_leak_however_they_were_born():
    chance = random.Random(7)
    threads = [given_work(life, chance) for life in slowly(20)]
    of = watched([MAIN_THREAD, *threads], until_s=60)
    assert not of.leaks


@pytest.mark.parametrize("frames", [QUEUE_GET, EXECUTOR_IDLE, FLUSHER])
def test_a_pool_of_any_size_that_was_started_at_once_is_steady(frames):
    threads = [MAIN_THREAD, *at_once(300, frames)]
    of = watched(threads, until_s=5)
    assert of.first_named_s is None
    assert trend(of.report, frames) is Trend.STEADY
    assert trend(looked_at_once(threads), frames) is Trend.STEADY
