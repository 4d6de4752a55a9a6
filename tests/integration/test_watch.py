"""A watch names a leak and leaves the healthy alone, under each version of Python.

All versions are watched at the same time, and beside other tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from tests.documents import Document, checked_lines, group_at, of_type
from tests.pythons import find_pythons, release_of
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


@dataclass
class TextWatched:
    """A leaking service watched with text for people, into a file, its status asked to be 0."""

    run: subprocess.CompletedProcess[str]
    report: str
    pid: int
    line: int  # at which the leaked threads wait


def watch_as_text(path: Path) -> TextWatched:
    with running(*SERVICE) as service:
        place = json.loads(service.tell("lines"))
        service.tell(f"autoleak {LEAK_PER_S}")
        options = ("--duration", LEAKING_FOR, "--exit-zero", "--quiet", "-o", path)
        run = leakscope_cli("watch", service.pid, *options, timeout=LONGEST_S)
    return TextWatched(run, path.read_text(), service.pid, place["consume"])


def began_at(pid: int, tid: int) -> float:
    """When a thread began, in Unix seconds; read here anew, not as leakscope does it."""
    fields = Path(f"/proc/{pid}/task/{tid}/stat").read_text().rpartition(")")[2].split()
    booted_at = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted_at + int(fields[19]) / os.sysconf("SC_CLK_TCK")


@dataclass
class Watches:
    """All that goes on at the same time: every version that a test is to run with."""

    by_version: dict[str, Future[Watched]]
    text: Future[TextWatched]


def begun_early(
    pool: ThreadPoolExecutor, wanted: list[pytest.Item], paths: pytest.TempPathFactory
) -> Watches:
    """Let it all begin."""
    versions = {version_of(item) for item in wanted}
    found = {version: path for version, path in find_pythons().items() if version in versions}
    return Watches(
        {version: pool.submit(watch_both, path) for version, path in found.items()},
        pool.submit(watch_as_text, paths.mktemp("text") / "report"),
    )


def version_of(item: pytest.Item) -> str | None:
    """The Python that a test is to run with, if it is one for each."""
    callspec = getattr(item, "callspec", None)
    return callspec.params["python"] if callspec else None


@pytest.fixture
def watched(python: Path, request: pytest.FixtureRequest, begun: Watches) -> Watched:
    version = version_of(request.node)
    assert version is not None
    return begun.by_version[version].result()


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
    assert summary["verdict"] == "leaking", group_at(summary, "consume")["evidence"]
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
    looked_at = datetime.fromisoformat(last_sample["at"]).timestamp()
    settled = {tid for tid, at in watched.leaked_at.items() if at < looked_at - TOO_YOUNG_S}
    assert len(leak["tids"]) == len(set(leak["tids"]))
    assert set(leak["tids"]) <= watched.leaked_at.keys()
    assert settled <= set(leak["tids"])
    assert len(settled) > LEAK_PER_S * 20


@pytest.mark.all_pythons
def test_a_leak_is_called_growing_before_it_is_called_leaking(watched):
    documents = checked_lines(watched.leaking.stdout)
    consume = group_at(documents[-1], "consume")
    changes = [change for change in of_type(documents, "change") if change["id"] == consume["id"]]
    assert [change["verdict"] for change in changes] == ["growing", "leaking"]
    assert consume["verdict"] == "leaking"
    assert consume["count"] == consume["blocked"] > consume["first"]


@pytest.mark.all_pythons
def test_healthy_threads_beside_a_leak_are_steady_or_churn(watched):
    summary = summary_of(watched.leaking)
    workers = group_at(summary, "pool_worker")
    assert (workers["verdict"], workers["count"], workers["born"]) == ("steady", POOL, 0)
    verdicts = {
        group["verdict"] for group in summary["groups"] if group["id"] not in leaked(summary)
    }
    assert verdicts <= {"steady", "churning", "shrinking"}


def leaked(summary: Document) -> set[str]:
    """The groups that leaks name."""
    return {id_ for leak in summary["leaks"] for id_ in leak["groups"]}


@pytest.mark.all_pythons
def test_a_healthy_service_is_clean(watched):
    assert_clean(watched.healthy)


@pytest.mark.all_pythons
def test_the_target_is_described(watched, python):
    first, *_, summary = checked_lines(watched.healthy.stdout)
    for document in (first, summary):
        (target,) = document["targets"]
        assert target["pid"] == watched.pid
        assert target["command"][0] == str(python)
        assert Path(target["command"][1]).name == SERVICE[0]
        assert target["python"] == release_of(".".join(target["python"].split(".")[:2]))


def assert_clean(run: subprocess.CompletedProcess[str]) -> None:
    summary = summary_of(run)
    assert summary["verdict"] == "clean", summary["groups"]
    assert summary["leaks"] == []
    assert run.returncode == 0
    assert group_at(summary, "pool_worker")["count"] == POOL
    assert sum(group["count"] for group in summary["groups"]) == summary["targets"][0]["threads"]


@pytest.mark.slow
def test_a_healthy_service_is_clean_ten_times_of_ten():
    def watch(service: Target) -> subprocess.CompletedProcess[str]:
        return leakscope_cli("watch", service.pid, "--duration", "15s", "--json", timeout=LONGEST_S)

    with ExitStack() as stack:
        services = [stack.enter_context(running(*SERVICE)) for _ in range(10)]
        with ThreadPoolExecutor(len(services)) as pool:
            runs = list(pool.map(watch, services))
    for run in runs:
        assert_clean(run)


def test_text_reports_a_leak_for_people(begun):
    watched: TextWatched = begun.text.result()
    assert (watched.run.returncode, watched.run.stdout, watched.run.stderr) == (0, "", "")
    verdict, *_ = text = watched.report.splitlines()
    assert verdict.startswith(f"LEAKING: 1 leak in process {watched.pid} ")
    (leak,) = [line for line in text if line.startswith("LEAK ")]
    assert f"leaky_service.py:{watched.line} consume" in leak
    assert "[queue.get]" in leak
    assert "\x1b" not in watched.report
