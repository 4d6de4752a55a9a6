"""A comparison of a real process before and after it leaks, by what leakscope and py-spy saved."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest

from leakscope.sources.pyspy import find_pyspy
from tests.documents import checked
from tests.running import leakscope_cli, running

LEAKED = 7
SERVICE = ("leaky_service.py", "--pool", "4", "--requests", "0", "--executor")
FORMS = {
    "text": ("dump",),
    "locals": ("dump", "--locals"),
    "full": ("dump", "--full-filenames"),
    "json": ("dump", "--json"),
}


def save(pid: int, folder: Path) -> dict[str, Path]:
    """The process as it is now, in each form."""
    files = {}
    for name, command in FORMS.items():
        files[name] = folder / f"{name}.txt"
        with files[name].open("wb") as file:
            subprocess.run([find_pyspy(), *command, "--pid", str(pid)], stdout=file, check=True)
    files["leakscope"] = folder / "leakscope.json.gz"
    plain = folder / "leakscope.json"
    assert leakscope_cli("dump", pid, "--json", "-o", plain).returncode == 0
    subprocess.run(["gzip", plain], check=True)
    files["watch"] = folder / "watch.jsonl"
    files["recording"] = folder / "recording.jsonl.gz"
    watch = ("watch", pid, "--count", 2, "--interval", "200ms", "--json", "-o", files["watch"])
    assert leakscope_cli(*watch, "--record", files["recording"]).returncode == 0
    return files


@pytest.mark.attach
@pytest.mark.all_pythons("3.8", "3.13")
def test_each_form_against_each(python, tmp_path):
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
    with running(*SERVICE, python=python) as service:
        before = save(service.pid, tmp_path / "before")
        service.tell(f"leak {LEAKED}")
        after = save(service.pid, tmp_path / "after")
    ids = set()
    # All pairs would be 49 runs: each form once on each side, and those that differ most.
    pairs = [*zip(before, [*list(before)[1:], "text"], strict=True), ("json", "text")]
    for first, second in {*pairs, *zip(before, before, strict=True)}:
        done = leakscope_cli("diff", before[first], after[second], "--json")
        assert done.returncode == 1, (first, second, done.stdout, done.stderr)
        assert not done.stderr
        document = checked(done.stdout)
        grown, *others = document["changes"]
        assert [change["kind"] for change in others] == ["same"] * len(others), (first, second)
        assert (grown["kind"], grown["growth"], grown["wait"]) == ("new", LEAKED, "queue.get")
        assert grown["site"]["function"] == "consume"
        assert document["before"]["threads"] == 5
        is_short = not {"text", "locals"}.isdisjoint((first, second))
        assert bool(document["notes"]) == is_short
        if not is_short:
            ids.add(grown["id"])
    assert len(ids) == 1


@pytest.mark.attach
def test_statuses_and_text(tmp_path):
    with running(*SERVICE) as service:
        dumps = [leakscope_cli("dump", service.pid, "--json").stdout]
        service.tell(f"leak {LEAKED}")
        dumps.append(leakscope_cli("dump", service.pid, "--json").stdout)
    files = [tmp_path / "before.json", tmp_path / "after.json"]
    for file, dump in zip(files, dumps, strict=True):
        file.write_text(dump)
    done = leakscope_cli("diff", *files)
    assert done.returncode == 1
    assert done.stdout.startswith(f"thread profile: 5 -> {5 + LEAKED} (+{LEAKED})\n")
    assert "  [queue.get]  programs/leaky_service.py:" in done.stdout
    statuses = {
        ("--exit-zero",): 0,
        (f"--min-growth={LEAKED + 1}",): 0,
        (f"--min-growth={LEAKED}",): 1,
        ("--ignore", "^consume$"): 0,
        ("--group-by", "entry"): 1,
        ("--group-by", "line"): 2,  # a dump by function has no lines of each thread
        ("--min-growth=0",): 2,
    }
    for options, status in statuses.items():
        assert leakscope_cli("diff", *files, *options).returncode == status, options
    assert leakscope_cli("diff", *reversed(files)).returncode == 0


def test_standard_input(tmp_path):
    text = 'Thread 1 (idle): "a"\n    work (app.py:3)\n'
    file = tmp_path / "one.txt"
    file.write_text(text)
    for first, second in itertools.permutations([file, "-"]):
        done = leakscope_cli("diff", first, second, input=text)
        assert (done.returncode, done.stderr) == (0, "")
        assert "unchanged: 1 group, 1 thread\n" in done.stdout
    both = leakscope_cli("diff", "-", "-", input=text)
    assert both.returncode == 2
    assert "only one" in both.stderr


def test_junk_is_a_clear_error(tmp_path):
    file = tmp_path / "junk"
    file.write_text("[\n{]\n")
    out = tmp_path / "out"
    done = leakscope_cli("diff", file, file, "-o", out)
    assert done.returncode == 2
    assert done.stderr.startswith(f"leakscope: {file}, line 2: not JSON")
    assert not done.stdout
    assert not out.exists()
