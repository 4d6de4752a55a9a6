"""A real process that calls everything hostile names: each way to look at it stays harmless."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import checked, checked_lines
from tests.hostile import HOSTILE, SURROGATE, harmful
from tests.running import Target, leakscope_cli, running

pytestmark = [pytest.mark.attach, pytest.mark.all_pythons("3.8", "3.11", "3.13")]

# An argument can hold no NUL, and any bytes else.
ARGUMENTS = [text.replace("\x00", "") for text in HOSTILE.values()]
# py-spy gives texts of up to 4095 bytes.
NAMES = list(HOSTILE.values())


@pytest.fixture
def target(python: Path) -> Iterator[Target]:
    arguments = [*ARGUMENTS, os.fsdecode(b"not UTF-8 \xff\xfe")]
    with running("hostile_names.py", json.dumps(NAMES), *arguments, python=python) as started:
        yield started


def at_a_terminal(*args: str | int | Path) -> tuple[int, str]:
    """The status of a command line, and all that it made the terminal show."""
    ours, theirs = pty.openpty()
    seen = b""
    with subprocess.Popen(
        [sys.executable, "-m", "leakscope", *map(str, args)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", "LINES": "60"},
    ) as process:
        os.close(theirs)
        with contextlib.suppress(OSError):  # how a terminal ends that no one has open
            while piece := os.read(ours, 65536):
                seen += piece
    os.close(ours)
    # The terminal adds the carriage returns to our newlines.
    return process.returncode, seen.decode().replace("\r\n", "\n")


def test_all_ways_to_look(target, tmp_path):
    recording = tmp_path / "watch.jsonl.gz"
    watch = ("watch", target.pid, "--count", 3, "-n", "200ms", "--color", "always")
    ways = {
        "dump": ("dump", target.pid, "--color", "always", "-v"),
        "watch": (*watch, "--record", recording),
        "ps": ("ps",),
        "replay": ("replay", recording, "--color", "always"),
        "diff": ("diff", recording, recording, "--color", "always"),
    }
    for way, args in ways.items():
        status, seen = at_a_terminal(*args)
        assert status == 0, seen
        assert not harmful(seen, live=way == "watch"), way
        assert "Traceback" not in seen
    assert r"\x1b]0;osc\x07" in at_a_terminal(*ways["dump"])[1]


def test_json_has_all_of_it(target, tmp_path):
    recording = tmp_path / "watch.jsonl"
    done = leakscope_cli("watch", target.pid, "--count", 2, "--json", "--record", recording)
    *_, summary = checked_lines(done.stdout)
    dumped = checked(leakscope_cli("dump", target.pid, "--json").stdout)
    replayed = checked(leakscope_cli("replay", recording, "--json").stdout)
    for report in (summary, dumped, replayed):
        threads = [thread for group in report["groups"] for thread in group["threads"]]
        assert set(NAMES) <= {thread["name"] for thread in threads}
        frames = [frame for group in report["groups"] for frame in group["frames"]]
        assert set(NAMES) <= {frame["function"] for frame in frames}
        assert {f"/srv/{name}/app.py" for name in NAMES} <= {f["filename"] for f in frames}
        command = report["targets"][0]["command"]
        assert command[3:-1] == ARGUMENTS
        assert os.fsencode(command[-1]) == b"not UTF-8 \xff\xfe"


@pytest.mark.parametrize(
    "name", [SURROGATE, "x" * 4096, "x" * 100_000], ids=["lone", "4096", "long"]
)
def test_a_name_that_hides_all_others_is_said(target, name):
    target.tell(f"rename {json.dumps(name)}")
    status, seen = at_a_terminal("dump", target.pid)
    assert status == 0
    assert "thread names: py-spy could read none" in seen
    assert not harmful(seen)


@pytest.mark.parametrize("name", ["", "pool-1"])
def test_names_that_are_missing_or_equal(target, name):
    for _ in range(2):
        target.tell(f"rename {json.dumps(name)}")
    dumped = checked(leakscope_cli("dump", target.pid, "--json").stdout)
    names = [thread["name"] for group in dumped["groups"] for thread in group["threads"]]
    assert name in names


def test_a_file_whose_name_is_not_utf8(target):
    target.tell(f"file {b'/srv/caf'.hex()}e92e7079")
    status, seen = at_a_terminal("dump", target.pid)
    assert status == 0
    assert not harmful(seen)
    dumped = checked(leakscope_cli("dump", target.pid, "--json").stdout)
    (group,) = (
        group
        for group in dumped["groups"]
        for thread in group["threads"]
        if thread["name"] == "of-the-file"
    )
    assert "in_the_file" not in [frame["function"] for frame in group["frames"]], "py-spy drops it"
