"""One look: what each thread waits for, in which form, and which processes there are to look at."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise

import pytest

from leakscope.commands.targets import pid_or_only
from leakscope.processes import ProcessFacts
from tests.documents import Document, checked, group_at
from tests.pythons import release_of
from tests.running import Target, leakscope_cli, running

pytestmark = pytest.mark.attach

POOL = 30
HEADER = re.compile(r"^(\d+) @ (\S+)  \[([^]]*)\]  (\S+):(\d+) (\S+)")
ESCAPE = "\x1b["

# By the function that waits in many_waits.py. What leaves no frame of its own is told by the
# kernel, to which a SimpleQueue, a Lock and an RLock are all a futex.
WAITS = {
    "queue_get": "queue.get",
    "queue_put": "queue.put",
    "simple_queue_get": "lock",
    "lock_acquire": "lock",
    "rlock_acquire": "lock",
    "condition_wait": "condition",
    "event_wait": "event",
    "event_wait_timeout": "event",
    "semaphore_acquire": "semaphore",
    "barrier_wait": "barrier",
    "thread_join": "join",
    "future_result": "future",
    "time_sleep": "sleep",
    "socket_recv": "socket.recv",
    "socket_accept": "socket.accept",
    "select_select": "select",
    "selector_select": "select",
    "subprocess_wait": "subprocess",
    "pipe_read": "pipe.read",
    "file_lock": "file lock",
    "asyncio_loop": "event loop",
}
# By the thread's name: these wait in functions of the standard library only.
LIBRARY_WAITS = {
    "executor_idle": "executor idle",
    "thread_pool_idle": "executor idle",
    "timer": "timer",
}


def dumped(target: Target, *options: str) -> Document:
    run = leakscope_cli("dump", target.pid, "--json", *options)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("\n") == 1
    return checked(run.stdout)


def text_of(target: Target, *options: str, env: dict[str, str] | None = None) -> str:
    run = leakscope_cli("dump", target.pid, *options, env=env)
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


@pytest.fixture(scope="module")
def service() -> Iterator[Target]:
    with running("leaky_service.py", "--pool", str(POOL), "--requests", "3") as target:
        target.tell("leak 7")
        yield target


# --- what threads wait for ------------------------------------------------------------------------


@pytest.mark.all_pythons
def test_every_wait_is_recognised_where_it_happens(python):
    with running("many_waits.py", python=python) as target:
        report = dumped(target)
        lines = json.loads(target.tell("lines"))
        tids = json.loads(target.tell("tids"))
    groups = {function: group_at(report, function) for function in WAITS}
    assert {function: group["wait"] for function, group in groups.items()} == WAITS
    for function, group in groups.items():
        assert group["site"]["filename"] == lines["file"]
        assert group["site"]["line"] == lines[function]
        assert [thread["tid"] for thread in group["threads"]] == [tids[function]]
        assert [thread["name"] for thread in group["threads"]] == [function]
        assert (group["count"], group["blocked"]) == (1, 1)
    by_tid = {thread["tid"]: thread for thread in all_threads(report)}
    library = {name: by_tid[tids[name]]["wait"] for name in LIBRARY_WAITS}
    assert library == LIBRARY_WAITS


@pytest.mark.all_pythons
def test_a_busy_thread_runs_and_the_others_are_blocked(python):
    with running("many_waits.py", "--busy", python=python) as target:
        # Once in a while it has to wait for the interpreter's lock.
        for _ in range(5):
            report = dumped(target)
            busy = group_at(report, "busy_loop")
            if busy["running"]:
                break
    assert (busy["running"], busy["blocked"], busy["wait"]) == (1, 0, None)
    for function in WAITS.keys() - {"event_wait_timeout"}:  # this one runs twice a second
        assert group_at(report, function)["blocked"] == 1


def test_what_cannot_be_looked_at_is_said():
    with running("many_waits.py") as target:
        report = dumped(target)
    assert any(line.startswith("asyncio tasks: ") for line in report["not_seen"])


def version_of(report: Document) -> str:
    return ".".join(report["targets"][0]["python"].split(".")[:2])


def all_threads(report: Document) -> Iterator[Document]:
    return (thread for group in report["groups"] for thread in group["threads"])


# --- forms ----------------------------------------------------------------------------------------


def test_json_has_every_thread_once(service):
    report = dumped(service)
    (target,) = report["targets"]
    tids = [thread["tid"] for thread in all_threads(report)]
    assert len(tids) == len(set(tids)) == target["threads"]
    assert service.pid in tids
    assert (report["type"], report["verdict"], report["ended_by"]) == (
        "dump",
        "unknown",
        "one sample",
    )
    assert (report["samples"], report["missed"], report["leaks"]) == (1, 0, [])
    assert group_at(report, "pool_worker")["count"] == POOL
    assert group_at(report, "consume")["count"] == 7


def test_text_shows_the_biggest_group_first(service):
    title, process, _, *rest = text_of(service).splitlines()
    total = re.fullmatch(r"thread profile: total (\d+)", title)
    assert total
    assert process.startswith(f"pid {service.pid}, Python ")
    headers = [found for line in rest if (found := HEADER.match(line))]
    counts = [int(found[1]) for found in headers]
    assert all(a >= b for a, b in pairwise(counts))
    assert sum(counts) == int(total[1])
    places = json.loads(service.tell("lines"))
    count, _, wait, path, line, function = headers[0].groups()
    assert (int(count), wait, function) == (POOL, "queue.get", "pool_worker")
    assert (path, int(line)) == ("programs/leaky_service.py", places["pool_worker"])
    assert re.match(r"#   (Condition\.)?wait +/", rest[1])


def test_ids_are_the_same_for_another_process_of_the_program(service):
    with running("leaky_service.py", "--pool", "2", "--requests", "0") as other:
        there = group_at(dumped(other), "pool_worker")["id"]
    here = group_at(dumped(service), "pool_worker")["id"]
    assert here == there
    assert re.fullmatch("[0-9a-f]{12}", here)


@pytest.mark.parametrize("level", ["line", "entry"])
def test_ids_of_other_levels_say_so(service, level):
    report = dumped(service, "--group-by", level)
    assert report["level"] == level
    assert {group["level"] for group in report["groups"]} == {level}
    for group in report["groups"]:
        assert re.fullmatch(f"{level}-[0-9a-f]{{12}}", group["id"])
    shown = [found for line in text_of(service, "--group-by", level).splitlines()
             if (found := HEADER.match(line))]  # fmt: skip
    assert shown
    assert all(found[2].startswith(f"{level}-") for found in shown)


@pytest.mark.parametrize("pattern", ["^pool_worker$", r"command_loop\.py$"])
def test_ignored_groups_are_left_out(service, pattern):
    whole = {group["id"]: group for group in dumped(service)["groups"]}
    rest = {group["id"] for group in dumped(service, "--ignore", pattern)["groups"]}
    fits = {
        id_
        for id_, group in whole.items()
        for frame in group["frames"]
        if re.search(pattern, frame["function"]) or re.search(pattern, frame["filename"])
    }
    assert fits
    # Requests may come and go between the two looks, and be caught at another place.
    assert not fits & rest
    assert group_at(dumped(service, "--ignore", pattern), "consume")["count"] == 7


def test_ignore_can_be_repeated(service):
    text = text_of(service, "--ignore", "pool_worker", "--ignore", "consume")
    assert "pool_worker" not in text
    assert "consume" not in text
    assert "accept_requests" in text


@pytest.mark.parametrize(
    ("options", "env", "colored"),
    [
        ((), {}, False),
        (("--color", "always"), {}, True),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
        (("--color", "auto"), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (("--color", "auto"), {"FORCE_COLOR": "1"}, True),
        (("--color", "never"), {"FORCE_COLOR": "1"}, False),
        ((), {"LEAKSCOPE_COLOR": "always"}, True),
    ],
)
def test_colour_is_as_asked_for(service, options, env, colored):
    assert (ESCAPE in text_of(service, *options, env=env)) is colored


def test_colour_never_gets_into_json(service):
    assert ESCAPE not in text_of(service, "--json", "--color", "always")


def test_options_can_come_from_the_environment(service):
    env = {"LEAKSCOPE_FORMAT": "json", "LEAKSCOPE_GROUP_BY": "entry", "LEAKSCOPE_IGNORE": "consume"}
    report = checked(text_of(service, env=env))
    assert report["level"] == "entry"
    functions = {frame["function"] for group in report["groups"] for frame in group["frames"]}
    assert "consume" not in functions
    assert "pool_worker" in functions
    assert text_of(service, "--format", "text", env=env).startswith("thread profile: ")


def test_a_dump_into_a_file_prints_nothing(service, tmp_path):
    assert text_of(service, "--json", "-o", str(tmp_path / "dump.json")) == ""
    assert checked((tmp_path / "dump.json").read_text())["type"] == "dump"


# --- which process --------------------------------------------------------------------------------


@pytest.mark.all_pythons
def test_ps_lists_a_process_with_its_version(python, request):
    with running("leaky_service.py", "--pool", "7", "--requests", "0", python=python) as target:
        run = leakscope_cli("ps", "--json")
        text = leakscope_cli("ps")
    assert (run.returncode, run.stderr) == (0, "")
    processes = {process["pid"]: process for process in checked(run.stdout)["processes"]}
    found = processes[target.pid]
    version = request.node.callspec.params["python"]
    assert (found["python"], found["threads"]) == (release_of(version), 8)
    assert found["command"][0] == str(python)
    assert 0 <= found["age_s"] < 60
    (line,) = [line for line in text.stdout.splitlines() if line.split()[0] == str(target.pid)]
    assert line.split()[1:3] == [release_of(version), "8"]


def test_ps_shows_most_threads_first(service):
    with running("leaky_service.py", "--pool", "2", "--requests", "0") as small:
        processes = checked(leakscope_cli("ps", "--json").stdout)["processes"]
    threads = [process["threads"] for process in processes]
    assert threads == sorted(threads, reverse=True)
    pids = [process["pid"] for process in processes]
    assert pids.index(service.pid) < pids.index(small.pid)


@pytest.mark.parametrize("command", ["dump", "watch"])
def test_without_a_pid_several_processes_are_listed(service, command):
    with running("leaky_service.py", "--pool", "2", "--requests", "0") as small:
        run = leakscope_cli(command)
    assert (run.returncode, run.stdout) == (2, "")
    first, *listed = run.stderr.splitlines()
    assert first.startswith("leakscope: no PID was given")
    pids = {line.split()[0] for line in listed}
    assert {str(service.pid), str(small.pid)} <= pids


def test_without_a_pid_the_only_process_is_taken(monkeypatch):
    only = ProcessFacts(4711, "3.11.7", 8, 1.0, ("python", "app.py"), "root")
    monkeypatch.setattr("leakscope.sources.process_list.python_processes", lambda *_: [only])
    assert pid_or_only(None) == 4711


@pytest.mark.parametrize("command", ["dump", "watch"])
def test_the_shell_completes_pids(service, command):
    def completed(typed: str) -> list[str]:
        run = leakscope_cli(
            env={
                "_LEAKSCOPE_COMPLETE": "bash_complete",
                "COMP_WORDS": f"leakscope {command} {typed}",
                "COMP_CWORD": "2",
            }
        )
        assert (run.returncode, run.stderr) == (0, "")
        return run.stdout.split()

    pid = str(service.pid)
    assert f"plain,{pid}" in completed("")
    assert f"plain,{pid}" in completed(pid[:-1])
    assert completed(f"{pid}0000") == []


def test_leakscope_does_not_list_itself(service):
    processes = checked(leakscope_cli("ps", "--json").stdout)["processes"]
    commands = [process["command"] or [] for process in processes]
    assert [sys.executable, "-m", "leakscope", "ps", "--json"] not in commands


@pytest.mark.attach
def test_local_variables_are_shown_only_when_asked_for():
    with running("leaky_service.py", "--pool", "2", "--requests", "0") as target:
        target.tell("leak 4")
        dump = leakscope_cli("dump", target.pid)
        assert "jobs =" not in dump.stdout
        group = re.search(r"^4 @ (\w{12})", dump.stdout, re.MULTILINE)
        assert group, dump.stdout
        shown = leakscope_cli("dump", target.pid, "--locals", group[1])
        assert shown.returncode == 0
        assert shown.stdout.count("argument  jobs = <Queue") == 3
        assert "secrets" in shown.stderr
        absent = leakscope_cli("dump", target.pid, "--locals", "0" * 12)
        assert absent.returncode == 2


def test_a_terminal_that_is_read_is_not_taken_for_a_socket():
    """Both sleep in one and the same function of the kernel."""
    master, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", "input('ready')"], stdin=terminal, stdout=terminal, stderr=terminal
    ) as reader:
        os.close(terminal)
        assert os.read(master, 100) == b"ready"
        (thread,) = checked(leakscope_cli("dump", reader.pid, "--json").stdout)["groups"]
        os.write(master, b"\n")
        assert reader.wait(30) == 0
    os.close(master)
    assert thread["wait"] == "read"


def test_whoever_started_leakscope_may_ignore_children_and_py_spy_is_heard_all_the_same():
    """Else the kernel does not keep how they end, and what failed seems to have gone well."""
    with subprocess.Popen(["sleep", "60"]) as sleep:
        run = subprocess.run(
            [sys.executable, "-m", "leakscope", "dump", str(sleep.pid)],
            capture_output=True, check=False, text=True, timeout=60,
            preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
        )  # fmt: skip
        sleep.kill()
    assert run.returncode == 5
    assert "not a Python process" in run.stderr
