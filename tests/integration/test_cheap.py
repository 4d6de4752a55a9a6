"""What looking rarely costs in knowledge: nothing that a report says, and five seconds at most.

Each process is watched by both ways at the same time, the default one and `--every-dump`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import pytest

from leakscope.pacing import UNHURRIED_SHARE
from tests.documents import Document, checked_lines, group_at, of_type
from tests.running import Target, Watching, running, watching

pytestmark = pytest.mark.attach

POOL = 20
POLLERS = 4
SERVICE = ("leaky_service.py", "--pool", f"{POOL}", "--requests", "5", "--pollers", f"{POLLERS}")
LEAK_PER_S = 1
WATCHED_S = 48
# So long before the end the leak stops, and is counted at rest; soon after, it would be over.
STOPPED_S = 2.0
# A leak that the other way has named is to be named no later than this.
LATER_S = 5.0
# Two watches of one process look at it up to an interval apart.
INTERVAL_S = 1.0
# What a budget may lend in advance (pacing.CREDIT_S), so that a short watch is not blind.
CREDIT_S = 60.0
# Starting up, with its imports and the first dump, is owed to the user; twice what it takes here.
START_CPU_S = 1.5


@dataclass
class Both:
    """One process, watched in both ways."""

    cheap: list[Document]
    plain: list[Document]

    @property
    def summaries(self) -> tuple[Document, Document]:
        """The report of the default way, and that of `--every-dump`."""
        return self.cheap[-1], self.plain[-1]


def both_ways(target: Target, stack: ExitStack) -> tuple[Watching, Watching]:
    """Two watches of one process, begun together."""
    duration = ("--duration", f"{WATCHED_S}s")
    return (
        stack.enter_context(watching(target.pid, *duration)),
        stack.enter_context(watching(target.pid, "--every-dump", *duration)),
    )


def documents_of(watch: Watching) -> list[Document]:
    """All that a watch said, each document held against the schema."""
    return checked_lines("".join(watch.until_end()))


def until_elapsed(watch: Watching, seconds: float) -> None:
    """Read on to the first sample that is not before this time of the watch."""
    while watch.until("sample")["elapsed_s"] < seconds:
        pass


def watch_leak() -> Both:
    """A service that leaks beside its pool, its pollers and its requests, and then stops."""
    with ExitStack() as stack:
        service = stack.enter_context(running(*SERVICE))
        service.tell(f"autoleak {LEAK_PER_S}")
        cheap, plain = both_ways(service, stack)
        until_elapsed(cheap, WATCHED_S - STOPPED_S)
        service.tell("stop")
        return Both(documents_of(cheap), documents_of(plain))


def watch_pool() -> Both:
    """An executor that is asked for more and more, up to its limit."""
    with ExitStack() as stack:
        pool = stack.enter_context(running("pool_fills.py"))
        cheap, plain = both_ways(pool, stack)
        cheap.until("sample", 3)
        for _ in range(POOL):
            pool.tell("grow")
            cheap.until("sample")
        return Both(documents_of(cheap), documents_of(plain))


@pytest.fixture(scope="module")
def watches() -> Iterator[dict[str, Future[Both]]]:
    """Both processes, watched at the same time."""
    with ThreadPoolExecutor(2) as pool:
        yield {"leak": pool.submit(watch_leak), "pool": pool.submit(watch_pool)}


@pytest.fixture(params=["leak", "pool"])
def both(request, watches) -> Both:
    done: Future[Both] = watches[request.param]
    return done.result()


@pytest.fixture
def leaking(watches) -> Both:
    done: Future[Both] = watches["leak"]
    return done.result()


def verdicts_of(report: Document) -> dict[str, str]:
    """What is said of each group at the function level that has threads."""
    return {group["id"]: group["verdict"] for group in report["groups"] if group["count"]}


def leak_ids(report: Document) -> list[str]:
    """The ids of the leaks, in one order."""
    return sorted(leak["id"] for leak in report["leaks"])


def test_both_ways_come_to_the_same_verdict(both):
    cheap, plain = both.summaries
    assert cheap["verdict"] == plain["verdict"]


def test_both_ways_name_the_same_leaks(both):
    cheap, plain = both.summaries
    assert leak_ids(cheap) == leak_ids(plain)


def test_both_ways_say_the_same_of_each_group(both):
    cheap, plain = (verdicts_of(report) for report in both.summaries)
    # A request that comes or goes at the very end may be in a group that has no other thread.
    seen_by_both = cheap.keys() & plain.keys()
    assert {id_: cheap[id_] for id_ in seen_by_both} == {id_: plain[id_] for id_ in seen_by_both}
    assert len(seen_by_both) >= max(len(cheap), len(plain)) - 1


def test_both_ways_count_the_same_threads_in_a_leak(leaking):
    cheap, plain = leaking.summaries
    (cheap_leak,), (plain_leak,) = cheap["leaks"], plain["leaks"]
    assert sorted(cheap_leak["tids"]) == sorted(plain_leak["tids"])
    assert cheap_leak["count"] == plain_leak["count"] > 30 * LEAK_PER_S


@pytest.mark.parametrize("function", ["consume", "pool_worker", "poll"])
def test_both_ways_count_the_same_threads_in_a_group_that_waits(leaking, function):
    cheap, plain = (group_at(report, function) for report in leaking.summaries)
    assert cheap["count"] == plain["count"]
    assert (cheap["first"], cheap["born"]) == pytest.approx(
        (plain["first"], plain["born"]), abs=2 * LEAK_PER_S * INTERVAL_S
    )


def test_a_leak_is_named_no_later_than_five_seconds_after_the_plain_way(leaking):
    cheap, plain = (named_at(documents) for documents in (leaking.cheap, leaking.plain))
    assert cheap - plain <= LATER_S


def named_at(documents: list[Document]) -> float:
    """When the first group was called leaking, in Unix seconds."""
    first = next(d for d in of_type(documents, "change") if d["verdict"] == "leaking")
    return datetime.fromisoformat(first["at"]).timestamp()


def test_the_cheap_way_reads_stacks_rarely_and_counts_at_each_sample(both):
    cheap, plain = both.summaries
    assert cheap["cost"]["ticks"] == cheap["samples"] >= WATCHED_S
    assert cheap["cost"]["dumps"] < plain["cost"]["dumps"]
    assert cheap["cost"]["dumps_cpu_s"] < plain["cost"]["dumps_cpu_s"]
    # How many that are is the machine's to say: each is followed by a pause of so many times what
    # the latest took. These differ, hence twice; and the first is due at once.
    share = 2 * UNHURRIED_SHARE * cheap["observed_s"]
    dearest_s = 2 * cheap["cost"]["dumps_cpu_s"] / cheap["cost"]["dumps"]
    assert cheap["cost"]["dumps_cpu_s"] <= share + dearest_s
    assert cheap["cost"]["longest_pause_s"] == plain["cost"]["longest_pause_s"] == 0


def test_at_each_sample_every_thread_is_in_one_group(both):
    for sample in of_type(both.cheap, "sample"):
        assert sum(sample["groups"].values()) == sample["threads"]


def test_samples_are_as_far_apart_as_was_asked_for(both):
    at_s = [sample["elapsed_s"] for sample in of_type(both.cheap, "sample")]
    gaps = [later - earlier for earlier, later in pairwise(at_s)]
    assert sorted(gaps)[len(gaps) // 2] == pytest.approx(INTERVAL_S, rel=0.1)


def test_the_cpu_time_stays_within_the_budget():
    """With churn, where there is something to read at each sample."""
    percent, seconds = 1.0, 20
    options = ("-n", "200ms", "--duration", f"{seconds}s", "--max-cpu", f"{percent}")
    with running(*SERVICE) as service, watching(service.pid, *options) as watch:
        *_, summary = documents_of(watch)
    cost = summary["cost"]
    assert 0 < cost["dumps_cpu_s"] <= cost["cpu_s"]
    assert cost["cpu_s"] <= percent / 100 * (seconds + CREDIT_S) + START_CPU_S
    assert cost["dumps"] < cost["ticks"] / 4


def test_threads_are_counted_at_once_though_their_stacks_are_read_later():
    """The budget is too small for more than a few dumps; the kernel is asked at each sample."""
    options = ("-n", "300ms", "--max-cpu", "0.1")
    service_options = ("--pool", "5", "--requests", "0")
    with (
        running("leaky_service.py", *service_options) as service,
        watching(service.pid, *options) as watch,
    ):
        before = watch.until("sample", 2)["threads"]
        service.tell("leak 12")
        # One sample may have been under way.
        assert watch.until("sample", 2)["threads"] == before + 12
        service.tell("release 7")
        after = watch.until("sample", 2)
        assert after["threads"] == sum(after["groups"].values()) == before + 5
        tids = json.loads(service.tell("tids"))
        watch.process.terminate()
        *_, summary = documents_of(watch)
    assert group_at(summary, "pool_worker")["count"] == 5
    assert summary["targets"][0]["threads"] == before + len(tids)
    assert summary["cost"]["dumps"] < summary["cost"]["ticks"]
