"""A watch names a leak and leaves the healthy alone, under each version of Python.

All versions are watched at the same time, so that this takes a minute and not ten.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.documents import Document, checked, checked_lines, group_at, of_type
from tests.pythons import find_pythons
from tests.running import Target, leakscope_cli, running

pytestmark = pytest.mark.attach

POOL = 30
REQUESTS = 5
SERVICE = ("leaky_service.py", "--pool", str(POOL), "--requests", str(REQUESTS))
LEAK_PER_S = 2
CLEAN_FOR = "12s"
LEAKING_FOR = "36s"
LONGEST_S = 150.0
# A leaked thread may be too young to be told from one that comes and goes.
TOO_YOUNG_S = 2.5


@dataclass
class Watched:
    """A service watched first while it was healthy, then while it leaked."""

    healthy: subprocess.CompletedProcess[str]
    leaking: subprocess.CompletedProcess[str]
    pid: int
    consume: tuple[str, int]  # the file and line at which the leaked threads wait
    leaked_at: dict[int, float]  # when each began, in Unix seconds, by TID


def watch_both(python: Path) -> Watched:
    with running(*SERVICE, python=python) as service:
        place = json.loads(service.tell("lines"))
        healthy = leakscope_cli(
            "watch", service.pid, "--duration", CLEAN_FOR, "--json", timeout=LONGEST_S
        )
        service.tell(f"autoleak {LEAK_PER_S}")
        leaking = leakscope_cli(
            "watch", service.pid, "--duration", LEAKING_FOR, "--json", timeout=LONGEST_S
        )
        return Watched(
            healthy,
            leaking,
            service.pid,
            (place["file"], place["consume"]),
            {tid: began_at(service.pid, tid) for tid in json.loads(service.tell("tids"))},
        )


def began_at(pid: int, tid: int) -> float:
    """When a thread began, in Unix seconds; read here anew, not as leakscope does it."""
    fields = Path(f"/proc/{pid}/task/{tid}/stat").read_text().rpartition(")")[2].split()
    booted_at = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted_at + int(fields[19]) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def watches(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Watched]]]:
    """The watches of every version that a test of this module is to run with."""
    wanted = {
        item.callspec.params["python"]
        for item in request.session.items
        if "watches" in getattr(item, "fixturenames", ()) and hasattr(item, "callspec")
    }
    found = {version: path for version, path in find_pythons().items() if version in wanted}
    with ThreadPoolExecutor(max(len(found), 1)) as pool:
        yield {version: pool.submit(watch_both, path) for version, path in found.items()}


@pytest.fixture
def watched(python, request, watches) -> Watched:
    done: Future[Watched] = watches[request.node.callspec.params["python"]]
    return done.result()


def summary_of(run: subprocess.CompletedProcess[str]) -> Document:
    """The last line, after a look at the others."""
    assert run.stderr == ""
    documents = checked_lines(run.stdout)
    first, *middle, summary = documents
    assert first["type"] == "start"
    assert {document["type"] for document in middle} <= {"sample", "missed", "change"}
    assert summary["type"] == "summary"
    assert len(of_type(documents, "sample")) == summary["samples"]
    assert len(of_type(documents, "missed")) == summary["missed"]
    return summary


@pytest.mark.all_pythons
def test_a_leak_is_named_and_nothing_else(watched):
    summary = summary_of(watched.leaking)
    assert summary["verdict"] == "leaking"
    assert watched.leaking.returncode == 1
    assert summary["ended_by"] == "duration"
    (leak,) = summary["leaks"]
    assert leak["site"]["function"] == "consume"
    assert (leak["site"]["filename"], leak["site"]["line"]) == watched.consume
    assert leak["wait"] == "queue.get"
    assert leak["count"] == len(leak["tids"])
    assert leak["groups"] == [group_at(summary, "consume")["id"]]


@pytest.mark.all_pythons
def test_the_tids_of_a_leak_are_the_threads_that_leaked(watched):
    *_, last_sample = of_type(checked_lines(watched.leaking.stdout), "sample")
    (leak,) = summary_of(watched.leaking)["leaks"]
    assert len(leak["tids"]) == len(set(leak["tids"]))
    assert set(leak["tids"]) <= watched.leaked_at.keys()
    looked_at = pytest.approx(began_at(watched.pid, watched.pid), abs=10**9)  # Unix seconds
    assert seconds_of(last_sample["at"]) == looked_at
    old_enough = {
        tid
        for tid, at in watched.leaked_at.items()
        if at < seconds_of(last_sample["at"]) - TOO_YOUNG_S
    }
    assert len(old_enough) > 8
    assert old_enough <= set(leak["tids"])
