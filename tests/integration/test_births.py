"""One look names a leak by the birth of its threads, and nothing else by it.

All that takes its time runs at the same time, for each version of Python, so that all of it takes
well under a minute; nothing else runs beside it.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.documents import Document, checked, checked_lines, group_at, of_type
from tests.pythons import find_pythons
from tests.running import Target, leakscope_cli, running

pytestmark = [pytest.mark.attach, pytest.mark.alone]

POOL = 30
SERVICE = ("leaky_service.py", "--pool", str(POOL), "--requests", "5")
LEAK_PER_S = 4
LEAKING_S = 20.0
# Longer than four mean gaps between moments of birth, which are at least half a second apart.
STOPPED_S = 6.0
CONNECTIONS = 60
CONNECTING_S = 20.0
HANDLERS = ("lines", "bytes", "web")

OLDEST, NEWEST, OURS = "3.8", "3.15", "ours"
VERSIONS = (OLDEST, NEWEST, OURS)


def path_of(version: str) -> Path | None:
    """The interpreter of a version; the one that runs the tests is always there."""
    return find_pythons().get(version) if version != OURS else Path(sys.executable)


# On 3.8 to 3.10 a look is no good if a thread begins or ends meanwhile; one at a time is quickest.
one_at_a_time = threading.Lock()


def dumped(target: Target) -> Document:
    with one_at_a_time:
        run = leakscope_cli("dump", target.pid, "--json")
    assert (run.returncode, run.stderr) == (0, "")
    return checked(run.stdout)


@dataclass
class Leaked:
    """A service looked at once while it leaked, and once when it had stopped."""

    before: set[int]  # the leaked threads just before the look
    leaking: Document
    after: set[int]  # and just after it
    stopped: Document
    stopped_for_s: tuple[float, float]  # at least and at most, when it was looked at


def leak_and_stop(python: Path) -> Leaked:
    with running(*SERVICE, python=python) as service:
        service.tell(f"autoleak {LEAK_PER_S}")
        time.sleep(LEAKING_S)
        before = set(json.loads(service.tell("tids")))
        leaking = dumped(service)
        after = set(json.loads(service.tell("tids")))
        stopping_at = time.monotonic()
        service.tell("stop")
        stopped_at = time.monotonic()
        time.sleep(STOPPED_S)
        looking_at = time.monotonic()
        stopped = dumped(service)
        # The last one may have come up to one gap before it was told to stop.
        longest_s = time.monotonic() - stopping_at + 1 / LEAK_PER_S
        return Leaked(before, leaking, after, stopped, (looking_at - stopped_at, longest_s))


def connect(python: Path, handler: str) -> Document:
    with running("connections.py", "--handler", handler, python=python) as server:
        server.tell(f"connect {CONNECTIONS} {CONNECTING_S}", timeout_s=60)
        return dumped(server)


def connect_while_watched() -> list[Document]:
    with running("connections.py") as server, ThreadPoolExecutor(1) as pool:
        connecting = pool.submit(server.tell, f"connect {CONNECTIONS} 40", timeout_s=90)
        run = leakscope_cli("watch", server.pid, "--duration", "36s", "--json", timeout=120)
        assert connecting.result() == f"connections {CONNECTIONS}"
    assert (run.returncode, run.stderr) == (0, "")
    return checked_lines(run.stdout)


@dataclass
class Runs:
    """All that goes on at the same time."""

    leaks: dict[str, Future[Leaked]]
    connections: dict[tuple[str, str], Future[Document]]
    watch: Future[list[Document]]


@pytest.fixture(scope="module")
def runs() -> Iterator[Runs]:
    paths = {version: path for version in VERSIONS if (path := path_of(version))}
    with ThreadPoolExecutor(2 * len(paths) + len(HANDLERS)) as pool:
        yield Runs(
            {version: pool.submit(leak_and_stop, path) for version, path in paths.items()},
            {
                (version, handler): pool.submit(connect, path, handler)
                for version, path in paths.items()
                for handler in (HANDLERS if version == OURS else HANDLERS[:1])
            },
            pool.submit(connect_while_watched),
        )


Leaks = Callable[[str], Leaked]


@pytest.fixture
def leaks_of(runs: Runs) -> Leaks:
    """The looks at the service under a version of Python; skips one that is not there."""

    def result(version: str) -> Leaked:
        if version not in runs.leaks:
            pytest.skip(f"no Python {version} here")
        return runs.leaks[version].result()

    return result


each_version = pytest.mark.parametrize("version", VERSIONS)


@each_version
def test_a_leak_is_named_by_births_alone(version, leaks_of):
    report = leaks_of(version).leaking
    (leak,) = report["leaks"]
    assert (report["type"], report["samples"], report["verdict"]) == ("dump", 1, "leaking")
    assert leak["site"]["function"] == "consume"
    assert leak["wait"] == "queue.get"
    assert leak["rate_basis"] == "births"
    assert leak["rate_per_min"] == pytest.approx(60 * LEAK_PER_S, rel=0.1)
    assert leak["groups"] == [group_at(report, "consume")["id"]]
    assert re.match(r"\d+ threads, started one by one over \d+ s, 2\d\d\.\d a minute, none in a "
                    r"burst\.$", leak["evidence"][0])  # fmt: skip


@each_version
def test_the_tids_of_a_leak_named_by_births_are_those_that_leaked(version, leaks_of):
    looked = leaks_of(version)
    (leak,) = looked.leaking["leaks"]
    named = set(leak["tids"])
    assert leak["count"] == len(leak["tids"]) == len(named)
    assert looked.before <= named <= looked.after
    assert len(named) >= LEAK_PER_S * LEAKING_S * 0.9


@each_version
def test_a_pool_started_at_once_beside_the_leak_is_steady(version, leaks_of):
    report = leaks_of(version).leaking
    workers = group_at(report, "pool_worker")
    assert (workers["verdict"], workers["count"]) == ("steady", POOL)
    others = [
        group for group in report["groups"] if group["id"] not in report["leaks"][0]["groups"]
    ]
    assert {group["verdict"] for group in others} == {"steady"}


@each_version
def test_of_a_leak_that_stopped_the_evidence_says_when(version, leaks_of):
    looked = leaks_of(version)
    report = looked.stopped
    assert report["leaks"] == []
    assert report["verdict"] != "leaking"
    consume = group_at(report, "consume")
    assert consume["verdict"] == "steady"
    grew, stopped = consume["evidence"]
    assert grew.startswith(f"{consume['count']} threads, started one by one over 2")
    ago = re.fullmatch(r"Grew until ([\d.]+) s ago: no thread of this stack is younger\.", stopped)
    assert ago
    least_s, most_s = looked.stopped_for_s
    assert least_s - 0.6 <= float(ago[1]) <= most_s + 0.6  # said in whole seconds from 10 on


@pytest.mark.parametrize(
    ("version", "handler"),
    [(OLDEST, "lines"), (NEWEST, "lines"), *((OURS, handler) for handler in HANDLERS)],
)
def test_connections_that_came_one_by_one_are_growing_at_most(version, handler, runs):
    if (version, handler) not in runs.connections:
        pytest.skip(f"no Python {version} here")
    report = runs.connections[version, handler].result()
    assert report["leaks"] == []
    readers = [group for group in report["groups"] if group["count"] >= CONNECTIONS]
    assert len(readers) == 1
    assert readers[0]["verdict"] in ("growing", "steady")
    assert readers[0]["wait"] == "socket.recv"
    assert {group["verdict"] for group in report["groups"]} <= {"growing", "steady"}
    if readers[0]["verdict"] == "growing":
        assert "Whoever is at the other end" in readers[0]["evidence"][-1]


def test_connections_that_come_while_it_watches_are_growing_at_most(runs):
    documents = runs.watch.result()
    summary = documents[-1]
    assert (summary["leaks"], summary["ended_by"]) == ([], "duration")
    assert {change["verdict"] for change in of_type(documents, "change")} <= {"growing", "steady"}
    assert max(group["count"] for group in summary["groups"]) > 40
