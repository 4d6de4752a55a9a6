"""Process trees: every Python descendant is watched, each judged by itself."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from leakscope.sources.tree import SETTLED_S
from tests.documents import Document, checked, checked_lines, group_at, of_type
from tests.running import PROGRAMS, Target, Watching, leakscope_cli, running, watching

pytestmark = pytest.mark.attach

WORKERS = 3
LEAKING_FOR = "42s"  # half a minute in the new worker, and the time that it takes to reload
SETTLED_WITHIN_S = 20.0


# --- gunicorn, reloaded during the watch ----------------------------------------------------------


class UnixConnection(http.client.HTTPConnection):
    """HTTP to a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=SETTLED_WITHIN_S)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def asked(path: Path, page: str) -> int:
    """The PID of the worker that answered."""
    with contextlib.closing(UnixConnection(path)) as connection:
        connection.request("GET", page)
        return int(connection.getresponse().read())


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SETTLED_WITHIN_S
    while not done():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.05)


def until_sample(watch: Watching, wanted: Callable[[Document], bool]) -> Document:
    """Read on until a round is as wanted."""
    while True:
        sample = watch.until("sample")
        if wanted(sample):
            return sample


def workers_of(master: int) -> set[int]:
    return {child.pid for child in psutil.Process(master).children()}


@contextlib.contextmanager
def gunicorn(path: Path) -> Iterator[Target]:
    with running("preforked.py", str(path)) as master:
        try:
            until(lambda: len(workers_of(master.pid)) == WORKERS)
            yield master
        finally:
            # Else its workers would find out a second later that they have no parent.
            os.kill(master.pid, signal.SIGTERM)


@dataclass
class Reloaded:
    """A gunicorn that was reloaded while it was watched."""

    watch: Watching
    status: int
    recording: Path
    master: int
    old: set[int]
    new: set[int]
    leaking: int | None

    @property
    def summary(self) -> Document:
        return self.documents[-1]

    @property
    def documents(self) -> list[Document]:
        return checked_lines("".join(self.watch.lines))


def watched_through_a_reload(folder: Path, *, leaks: bool) -> Reloaded:
    folder.mkdir()
    recording = folder / "watch.jsonl.gz"
    path, lasts = folder / "http", LEAKING_FOR if leaks else "25s"
    words = ("--children", "-d", lasts, "--record", str(recording))
    with gunicorn(path) as master, watching(master.pid, *words, timeout_s=100.0) as watch:
        old = workers_of(master.pid)
        until_sample(watch, lambda s: {str(pid) for pid in old} <= s["by_process"].keys())
        os.kill(master.pid, signal.SIGHUP)
        until(lambda: len(workers_of(master.pid) - old) == WORKERS)
        until(lambda: not workers_of(master.pid) & old)
        new = workers_of(master.pid)
        leaking = asked(path, "/leak") if leaks else None
        status = watch.status()
    return Reloaded(watch, status, recording, master.pid, old, new, leaking)


Both = dict[bool, Future[Reloaded]]


def begun_early(
    pool: ThreadPoolExecutor, wanted: list[pytest.Item], paths: pytest.TempPathFactory
) -> Both:
    """One that leaks in one worker and one that doesn't, side by side."""
    folder = paths.mktemp("g")
    return {
        leaks: pool.submit(watched_through_a_reload, folder / str(leaks), leaks=leaks)
        for leaks in (True, False)
    }


@pytest.fixture(scope="module")
def reloaded(begun: Both) -> dict[bool, Reloaded]:
    """The outcome of both."""
    return {leaks: run.result() for leaks, run in begun.items()}


def test_the_one_worker_that_leaks_is_named(reloaded):
    seen = reloaded[True]
    summary = seen.summary
    assert seen.status == 1, seen.watch.stderr()
    (leak,) = summary["leaks"]
    assert leak["site"]["function"] == "consume"
    assert leak["by_process"] == {str(seen.leaking): leak["count"]}
    assert any(
        f"It leaks in 1 of 4 processes: {seen.leaking}" in sentence for sentence in leak["evidence"]
    )
    verdicts = {target["pid"]: target["verdict"] for target in summary["targets"]}
    assert verdicts[seen.leaking] == "leaking"
    assert "leaking" not in {verdicts[pid] for pid in verdicts if pid != seen.leaking}
    assert [g["id"] for g in summary["groups"] if g["verdict"] in ("leaking", "runaway")] == [
        group_at(summary, "consume")["id"]
    ]


def test_a_reload_is_no_leak(reloaded):
    seen = reloaded[False]
    summary = seen.summary
    assert (seen.status, summary["verdict"], summary["leaks"]) == (0, "clean", [])
    assert not of_type(seen.documents, "missed")


def test_workers_that_ended_and_those_that_came_are_all_listed(reloaded):
    for seen in reloaded.values():
        ended = {target["pid"]: target["ended_at"] for target in seen.summary["targets"]}
        assert ended.keys() == {seen.master} | seen.old | seen.new
        assert {pid for pid, at in ended.items() if at} == seen.old
        living = [t for t in seen.summary["targets"] if not t["ended_at"]]
        counted = sum(group["count"] for group in seen.summary["groups"])
        assert counted == sum(target["threads"] for target in living)


def test_replay_says_the_same(reloaded):
    for seen in reloaded.values():
        replayed = leakscope_cli("replay", seen.recording, "--json")
        assert replayed.stderr == ""
        (said,) = checked_lines(replayed.stdout)
        assert said["cost"] is None  # a replay looks at nothing
        for part in seen.summary.keys() - {"cost", "made_by"}:
            assert said[part] == seen.summary[part], part


# --- children that come and go --------------------------------------------------------------------


def test_children_come_and_go():
    with running("family.py") as family:
        first, other = family.tell("child"), family.tell("other")
        began_at = psutil.Process(int(first)).create_time()
        # Or it would join later; psutil counts from the boot, which it knows to a second.
        until(lambda: time.time() > began_at + SETTLED_S + 1.0)
        with watching(family.pid, "--children", "-n", "200ms") as watch:
            until_sample(watch, lambda s: s["by_process"].keys() == {str(family.pid), first})
            second = family.tell("child")
            both = until_sample(watch, lambda s: second in s["by_process"])
            assert both["by_process"] == {str(family.pid): 1, first: 5, second: 5}
            watch.until("sample", 3)  # on a busy machine the kernel's counts come before the stacks
            family.tell(f"end {first}")
            until_sample(watch, lambda s: first not in s["by_process"])
            watch.process.send_signal(signal.SIGINT)
            summary = checked_lines("".join(watch.until_end()))[-1]
    assert {t["pid"] for t in summary["targets"] if t["ended_at"]} == {int(first)}
    assert f"left out: cat ({other}), not Python" in summary["not_seen"]
    assert summary["leaks"] == []
    (waiting,) = [group for group in summary["groups"] if group["wait"] == "queue.get"]
    # 4 of the child that was there, 4 of the one that came; the first took its own along.
    assert (waiting["first"], waiting["count"], waiting["peak"]) == (4, 4, 8)
    assert (waiting["arrived"], waiting["departed"]) == (4, 4)
    assert waiting["by_process"] == {second: 4}


def test_a_child_that_is_missed_does_not_make_its_groups_shrink():
    with running("family.py") as family:
        child = family.tell("child")
        words = ("--children", "--blocking", "-n", "200ms")
        with watching(family.pid, *words) as watch:
            until_sample(watch, lambda s: child in s["by_process"])
            family.tell(f"stop {child}")
            missed = watch.until("missed")
            after = watch.until("sample")
            family.tell(f"go {child}")
            watch.process.send_signal(signal.SIGINT)
            summary = checked_lines("".join(watch.until_end()))[-1]
    assert missed["pid"] == int(child)
    assert after["by_process"] == {str(family.pid): 1, child: 5}
    (waiting,) = [group for group in summary["groups"] if group["wait"] == "queue.get"]
    assert [size for _, size in waiting["points"]] == [4]
    assert summary["missed"] >= 1


def test_the_watch_ends_with_the_root():
    with running("family.py") as family:
        child = family.tell("child")
        with watching(family.pid, "--children", "-n", "200ms") as watch:
            until_sample(watch, lambda s: child in s["by_process"])
            family.end()
            assert watch.until("summary")["ended_by"] == "target exited"
            assert watch.status() == 0


# --- one look -------------------------------------------------------------------------------------


def test_dump_shows_groups_by_process():
    with running("family.py") as family:
        children = [family.tell("child") for _ in range(2)]
        other = family.tell("other")
        dump = checked(leakscope_cli("dump", family.pid, "--children", "--json").stdout)
        text = leakscope_cli("dump", family.pid, "--children").stdout.splitlines()
    (waiting,) = [group for group in dump["groups"] if group["wait"] == "queue.get"]
    assert waiting["by_process"] == dict.fromkeys(children, 4)
    assert [target["threads"] for target in dump["targets"]] == [1, 5, 5]
    assert dump["not_seen"] == [f"left out: cat ({other}), not Python"]
    assert "thread profile: total 11" in text
    assert any(line.startswith("  in ") and f"{children[0]}: 4" in line for line in text)


def test_without_children_one_process_is_looked_at():
    with running("family.py") as family:
        family.tell("child")
        dump = checked(leakscope_cli("dump", family.pid, "--json").stdout)
    assert [target["pid"] for target in dump["targets"]] == [family.pid]
    assert [group["by_process"] for group in dump["groups"]] == [{str(family.pid): 1}]


def test_a_tree_whose_root_is_not_python():
    # The last command keeps the shell from running the one before in its own place.
    script = f"{sys.executable} {PROGRAMS / 'family.py'}; true"
    with subprocess.Popen(
        ["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        assert shell.stdout.readline() == "ready\n"
        dump = checked(leakscope_cli("dump", shell.pid, "--children", "--json").stdout)
        shell.stdin.close()
    (target,) = dump["targets"]
    assert target["command"][-1].endswith("family.py")
    assert [f"({shell.pid}), not Python" in line for line in dump["not_seen"]] == [True]


def test_a_tree_without_python():
    with subprocess.Popen(["sleep", "60"]) as sleep:
        refused = leakscope_cli("dump", sleep.pid, "--children")
        sleep.kill()
    assert refused.returncode == 5
    assert "there is no Python process to look at" in refused.stderr
    assert f"sleep ({sleep.pid}), not Python" in refused.stderr


def test_no_such_tree():
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
        refused = leakscope_cli("watch", gone.pid, "--children", "--count", 3)
    assert refused.returncode == 3
    assert f"there is no process {gone.pid}" in refused.stderr


def test_local_variables_are_of_one_process():
    refused = leakscope_cli("dump", os.getpid(), "--children", "--locals", "3f9c1a2b77e0")
    assert refused.returncode == 2


# --- several PIDs ---------------------------------------------------------------------------------


@pytest.mark.fault(
    "Process trees",
    "of several PIDs one is not there, and one ends during the watch",
    "They are said and left out; the watch ends with the last one.",
)
def test_several_processes_are_watched_in_one_view_until_the_last_has_ended():
    service = ("leaky_service.py", "--pool", "3", "--requests", "0")
    with running(*service) as first, running(*service) as second, gone() as missing:
        # One of them is not there, and one named twice.
        pids = (str(second.pid), str(missing), str(first.pid))
        with watching(first.pid, *pids, "-n", "200ms") as watch:
            both = {str(first.pid): 4, str(second.pid): 4}
            until_sample(watch, lambda s: s["by_process"] == both)
            first.end()
            until_sample(watch, lambda s: s["by_process"] == {str(second.pid): 4})
            second.end()
            assert watch.status() == 0
    summary = checked_lines("".join(watch.lines))[-1]
    assert summary["ended_by"] == "target exited"
    assert f"left out: there is no process {missing}" in summary["not_seen"]
    ended = {target["pid"]: bool(target["ended_at"]) for target in summary["targets"]}
    assert ended == {first.pid: True, second.pid: False}
    assert group_at(summary, "pool_worker")["by_process"] == {str(second.pid): 3}


def test_several_trees_are_watched_with_their_children():
    with running("family.py") as first, running("family.py") as second:
        child = second.tell("child")
        with watching(first.pid, str(second.pid), "--children", "-n", "200ms") as watch:
            expected = {str(first.pid): 1, str(second.pid): 1, child: 5}
            until_sample(watch, lambda s: s["by_process"] == expected)


def test_one_that_is_no_python_is_left_out_of_several():
    with running("family.py") as family:
        other = family.tell("other")
        done = leakscope_cli("watch", family.pid, other, "--count", 1, "--json")
    summary = checked_lines(done.stdout)[-1]
    assert done.returncode == 0
    assert [target["pid"] for target in summary["targets"]] == [family.pid]
    assert f"left out: cat ({other}), not Python" in summary["not_seen"]


def test_several_that_are_all_missing():
    with gone() as first, gone() as second:
        refused = leakscope_cli("watch", first, second, "--count", 1)
    assert refused.returncode == 3
    assert f"there is no process {first}; there is no process {second}" in refused.stderr


@contextlib.contextmanager
def gone() -> Iterator[int]:
    """A PID that nobody has."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
        yield process.pid
