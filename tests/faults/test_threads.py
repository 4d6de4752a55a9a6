"""Threads that py-spy cannot show, or shows without their names, ids or frames."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import Document, checked, checked_lines, group_at
from tests.pythons import find_pythons
from tests.running import PROGRAMS, Target, leakscope_cli, running, watching

pytestmark = pytest.mark.attach

WORKERS = 5
PYSPY_LIMIT = 4096  # threads of a process, and frames of a stack


def looked_at(target: Target, *options: str) -> Document:
    """What one look says."""
    run = leakscope_cli("dump", target.pid, "--json", *options)
    assert (run.returncode, run.stderr) == (0, "")
    return checked(run.stdout)


def watched(target: Target, *options: str) -> Document:
    """What a short watch says: long enough for threads to be no newborns any more."""
    run = leakscope_cli("watch", target.pid, "--json", "--count", "5", "-n", "250ms", *options)
    assert (run.returncode, run.stderr) == (0, "")
    return checked_lines(run.stdout)[-1]


def not_seen(report: Document, word: str) -> str:
    """The one line of what is not seen that has this word."""
    (line,) = [line for line in report["not_seen"] if word in line]
    return str(line)


# --- too many for py-spy --------------------------------------------------------------------------


@pytest.mark.fault(
    "Threads and stacks",
    "it has more than 4096 threads: py-spy fails, and says that it finds no interpreter",
    "Counts, births, growth and the deadline come from the kernel; known stacks are kept; it says "
    "why there are no new ones.",
)
@pytest.mark.slow
@pytest.mark.parametrize("command", [("dump",), ("watch", "--count", "3")], ids=" ".join)
def test_more_than_4096_threads(command):
    with running("misfortunes.py") as target:
        target.tell("threads 4200", timeout_s=60)
        run = leakscope_cli(*command, target.pid, "--json")
    assert run.returncode in (0, 1), run.stderr
    report = checked_lines(run.stdout)[-1]
    assert report["targets"][0]["threads"] == 4200 + WORKERS + 1
    assert not_seen(report, "4096")


@pytest.mark.fault(
    "Threads and stacks",
    "it grows past 4096 threads during a watch",
    "The watch goes on: the growth is counted on, the stacks known before are kept, and it says "
    "that the new threads' are not known.",
)
@pytest.mark.slow
def test_growth_past_4096_threads():
    with running("misfortunes.py") as target:
        target.tell("threads 4080", timeout_s=60)
        with watching(target.pid, "-q") as watch:
            while len((before := watch.until("sample"))["groups"]) < 2:
                pass  # no stack is read yet
            target.tell("threads 40", timeout_s=60)
            while (after := watch.until("sample"))["threads"] <= before["threads"]:
                pass
            watch.process.terminate()
            assert watch.status() in (0, 1)
    summary = checked_lines("".join(watch.lines))[-1]
    assert before["threads"] == 4080 + WORKERS + 1
    assert after["threads"] == summary["targets"][0]["threads"] == 4120 + WORKERS + 1
    assert group_at(summary, "wait_for_ever")["count"] >= 4080 + WORKERS
    assert not_seen(summary, "4096")


@pytest.mark.fault(
    "Threads and stacks",
    "a stack is deeper than 4096 frames: py-spy then shows no thread at all",
    "As with too many threads: what the kernel knows is told, and why there are no stacks.",
)
@pytest.mark.all_pythons("3.8", "3.11", "3.14")
def test_a_stack_deeper_than_4096_frames(python):
    with running("misfortunes.py", python=python) as target:
        target.tell("deep 4200")
        run = leakscope_cli("watch", target.pid, "--json", "--count", "2", "-n", "250ms")
    assert run.returncode in (0, 1), run.stderr
    report = checked_lines(run.stdout)[-1]
    assert report["targets"][0]["threads"] == WORKERS + 2
    assert not_seen(report, "4096")


@pytest.mark.fault(
    "Threads and stacks",
    "a stack has 3900 frames",
    "It is read, and grouped by all of them.",
)
@pytest.mark.all_pythons("3.8", "3.11", "3.14")
def test_a_deep_stack(python):
    with running("misfortunes.py", python=python) as target:
        target.tell("deep 3900")
        report = looked_at(target)
    assert report["targets"][0]["threads"] == WORKERS + 2
    (deep,) = [group for group in report["groups"] if len(group["frames"]) > 3900]
    assert deep["count"] == 1


# --- other interpreters ---------------------------------------------------------------------------


@pytest.mark.fault(
    "Threads and stacks",
    "it has sub-interpreters: py-spy shows the threads of one of them, not of the main one",
    "Says how many threads are not among those that py-spy shows; from 3.13 on, that the main one "
    "is among those. On 3.12 they look like native threads, and it says that they may not be.",
)
@pytest.mark.all_pythons("3.12", "3.13", "3.14", "3.15")
def test_sub_interpreters(python):
    with running("misfortunes.py", python=python) as target:
        assert target.tell("interpreters 2") == "threads 10"
        report = watched(target)
    shown = report["targets"][0]["threads"]
    assert shown < 10
    # Until 3.12 the main thread's id is that of the thread that made the sub-interpreter.
    if "3.12" in str(python):
        said = not_seen(report, "native threads")
        assert said.startswith(f"native threads: {10 - shown} besides Python's")
        assert "sub-interpreter" in said
    else:
        said = not_seen(report, "another interpreter's threads")
        assert f"the main thread and {10 - shown} in all are not among those" in said


@pytest.mark.fault(
    "Threads and stacks",
    "a sub-interpreter is made during a watch: from then on py-spy shows its threads only",
    "The threads that py-spy no longer shows have not ended: the kernel still has them.",
)
@pytest.mark.all_pythons("3.13", "3.14")
def test_a_sub_interpreter_made_during_a_watch(python):
    with (
        running("misfortunes.py", python=python) as target,
        watching(target.pid, "-n", "250ms") as watch,
    ):
        watch.until("sample", 2)
        target.tell("interpreters 1")
        watch.until("sample", 5)
        watch.process.terminate()
        assert watch.status() == 0
    summary = checked_lines("".join(watch.lines))[-1]
    assert all(group["ended"] == 0 for group in summary["groups"])


@pytest.mark.fault(
    "Threads and stacks",
    "it runs a free-threaded build of Python (not run where none is found)",
    "It is looked at as any other.",
)
@pytest.mark.parametrize("version", ["3.13t", "3.14t"])
def test_a_free_threaded_build(version):
    python = free_threaded(version)
    if python is None:
        pytest.skip(f"no python{version} found: not run here")
    with running("misfortunes.py", python=python) as target:
        report = watched(target)
    assert report["targets"][0]["threads"] == WORKERS + 1
    assert group_at(report, "wait_for_ever")["count"] == WORKERS


def free_threaded(version: str) -> Path | None:
    """A free-threaded interpreter on PATH, or beside another of that version."""
    beside = find_pythons().get(version.rstrip("t"))
    places = [shutil.which(f"python{version}"), beside and beside.parent / f"python{version}"]
    found = [Path(place) for place in places if place and Path(place).exists()]
    return found[0] if found else None


@pytest.mark.fault(
    "Threads and stacks",
    "it has threads that are not Python's (from a C library)",
    "They are counted and said, and not looked at; those of Python are all there.",
)
@pytest.mark.all_pythons("3.8", "3.11", "3.14")
def test_native_threads(python):
    with running("misfortunes.py", python=python) as target:
        target.tell("native 7")
        report = watched(target)
    assert report["targets"][0]["threads"] == WORKERS + 1
    assert not_seen(report, "native threads").startswith("native threads: 7 besides Python's")


# --- names and files ------------------------------------------------------------------------------


@pytest.mark.fault(
    "Threads and stacks",
    "threads have no name: they were started below `threading`",
    "They are counted and grouped; the name is null.",
)
@pytest.mark.all_pythons("3.8", "3.11", "3.14")
def test_threads_without_a_name(python):
    with running("misfortunes.py", python=python) as target:
        target.tell("unnamed 3")
        report = looked_at(target)
    names = names_of(report)
    assert len(names) == WORKERS + 1 + 3
    assert names.count(None) == 3
    assert report["not_seen"] == []


@pytest.mark.fault(
    "Threads and stacks",
    "all threads have the same name",
    "They are told apart by the kernel's ids and start times.",
)
@pytest.mark.all_pythons("3.8", "3.11", "3.14")
def test_threads_with_the_same_name(python):
    with (
        running("misfortunes.py", python=python) as target,
        watching(target.pid, "-n", "250ms", "--count", "6") as watch,
    ):
        watch.until("sample")
        target.tell("named equal 4")
        assert watch.status() == 0
    summary = checked_lines("".join(watch.lines))[-1]
    group = group_at(summary, "wait_for_ever")
    assert (group["count"], group["arrived"], group["ended"]) == (WORKERS + 4, 4, 0)
    assert names_of(summary).count("the-same") == 4


@pytest.mark.fault(
    "Threads and stacks",
    "a thread's name has 5000 characters, or half of a surrogate pair: py-spy then gives no names",
    "Says that no name could be read, and why; all else is as ever.",
)
@pytest.mark.all_pythons("3.8", "3.11", "3.14")
@pytest.mark.parametrize("kind", ["long", "surrogate"])
def test_a_name_that_py_spy_cannot_read(python, kind):
    with running("misfortunes.py", python=python) as target:
        target.tell(f"named {kind} 1")
        report = looked_at(target)
    assert report["targets"][0]["threads"] == WORKERS + 2
    assert set(names_of(report)) == {None}
    assert not_seen(report, "thread names")


@pytest.mark.fault(
    "Threads and stacks",
    "such a name comes during a watch",
    "The names that were known are kept.",
)
def test_a_name_that_py_spy_cannot_read_comes_later():
    with running("misfortunes.py") as target, watching(target.pid, "-n", "250ms") as watch:
        watch.until("sample", 2)
        target.tell("named surrogate 1")
        watch.until("sample", 3)
        watch.process.terminate()
        assert watch.status() == 0
    summary = checked_lines("".join(watch.lines))[-1]
    assert names_of(summary).count(None) == 1
    assert "MainThread" in names_of(summary)


@pytest.mark.fault(
    "Threads and stacks",
    "a file name is not UTF-8: py-spy leaves that frame out",
    "The thread is counted, in the group of the frames that are left.",
)
@pytest.mark.all_pythons("3.8", "3.11", "3.14")
def test_a_file_name_that_is_not_utf_8(python):
    with running("misfortunes.py", python=python) as target:
        target.tell("hidden 2")
        report = looked_at(target)
    assert report["targets"][0]["threads"] == WORKERS + 3
    (hidden,) = [group for group in report["groups"] if group["count"] == 2]
    assert "wait_hidden" not in [frame["function"] for frame in hidden["frames"]]


@pytest.mark.fault(
    "Threads and stacks",
    "the script's own path is not UTF-8",
    "The process can be looked at and named; JSON stays whole.",
)
def test_a_path_that_is_not_utf_8(tmp_path):
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    for name in ("misfortunes.py", "command_loop.py"):
        shutil.copy(PROGRAMS / name, folder / name)
    with running(str(folder / "misfortunes.py")) as target:
        report = looked_at(target)
        text = subprocess.run(
            [sys.executable, "-m", "leakscope", "dump", str(target.pid)],
            capture_output=True,
            check=False,
        )
    assert report["targets"][0]["threads"] == WORKERS + 1
    assert text.returncode == 0
    assert b"Traceback" not in text.stderr
    assert text.stdout.decode("utf-8")


def names_of(report: Document) -> list[str | None]:
    """The names of all threads that the groups list."""
    return [thread["name"] for group in report["groups"] for thread in group["threads"]]
