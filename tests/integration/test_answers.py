"""py-spy's answers made broken, huge, hostile: a dump says why, or shows what is sound."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leakscope.sources.pyspy import find_pyspy
from tests.documents import checked
from tests.hostile import HOSTILE, SURROGATE, harmful
from tests.integration.faults import FaultyPySpy
from tests.running import Target, leakscope_cli, running

pytestmark = pytest.mark.attach

POOL = 2
LOCALS = ("--locals", "0" * 12)


@pytest.fixture(scope="module")
def service() -> Iterator[Target]:
    with running("leaky_service.py", "--pool", str(POOL), "--requests", "0") as target:
        yield target


@pytest.fixture(scope="module")
def threads(service) -> list[dict[str, Any]]:
    """What the real one answers."""
    command = [find_pyspy(), "dump", "--json", "--nonblocking", "--pid", str(service.pid)]
    found: list[dict[str, Any]] = json.loads(subprocess.check_output(command))
    assert len(found) == POOL + 1
    return found


def answering(folder: Path, answer: bytes) -> FaultyPySpy:
    """A py-spy that always gives this answer."""
    (folder / "answer").write_bytes(answer)
    return FaultyPySpy(folder, f"cat {shlex.quote(str(folder / 'answer'))}; exit 0", when="true")


SPOILT: dict[str, tuple[str, str]] = {
    "NaN": ('"line": @', "NaN"),
    "infinity": ('"line": @', "1e400"),
    "5000 digits": ('"line": @', "9" * 5000),
    "400 digits": ('"thread_id": @', "9" * 400),
    "a negative id": ('"os_thread_id": @', "-1"),
    "a name that is a list": ('"thread_name": @', '["a"]'),
    "a deep name": ('"thread_name": @', "[" * 5000 + "]" * 5000),
    "NUL": ('"thread_name": @', '"\x00"'),
    "no frames": ('"frames": @', "null"),
    "true is no text": ('"filename": @', "true"),
}


@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, ()) for name in SPOILT), ("NaN", LOCALS), ("a deep name", LOCALS), ("NUL", LOCALS)],
)
def test_an_answer_with_a_value_that_is_wrong(service, threads, tmp_path, name, options):
    place, value = SPOILT[name]
    field = json.loads("{" + place.replace("@", "0") + "}").popitem()[0]
    spoilt = json.loads(json.dumps(threads))
    (spoilt[1]["frames"][0] if field in spoilt[1]["frames"][0] else spoilt[1])[field] = "@"
    answer = json.dumps(spoilt).replace('"@"', value).encode()
    run = leakscope_cli("dump", service.pid, *options, env=answering(tmp_path, answer).env)
    refused(run)


NONE = {
    "nothing": b"",
    "not UTF-8": b"\xff\xfe[",
    "a BOM": b"\xef\xbb\xbf[",
    "NUL": b"\x00" * 5000,
    "deep": b"[" * 100_000,
    "an object": b"{}",
    "no threads": b"[]",
    "a number": b"[1]",
}


@pytest.mark.parametrize("answer", NONE.values(), ids=NONE)
def test_an_answer_that_is_none(service, tmp_path, answer):
    refused(leakscope_cli("dump", service.pid, env=answering(tmp_path, answer).env))


@pytest.mark.parametrize("fault", ["exec cat /dev/zero", "exec yes >&2"], ids=["answer", "words"])
def test_an_answer_without_end(service, tmp_path, fault):
    faulty = FaultyPySpy(tmp_path, fault, when="true")
    run = leakscope_cli("dump", service.pid, env=faulty.env)
    refused(run)
    assert "more than" in run.stderr


def test_what_py_spy_says_may_be_hostile(service, tmp_path):
    words = shlex.quote(" ".join(HOSTILE.values()).replace("\x00", ""))
    faulty = FaultyPySpy(tmp_path, f"printf '%s' {words} >&2; exit 1", when="true")
    refused(leakscope_cli("dump", service.pid, "-v", env=faulty.env), lines=None)


def test_an_answer_with_all_threads_twice(service, threads, tmp_path):
    """py-spy gives two threads one id now and then."""
    answer = json.dumps(threads * 2).encode()
    run = leakscope_cli("dump", service.pid, "--json", env=answering(tmp_path, answer).env)
    assert (run.returncode, run.stderr) == (0, "")
    assert checked(run.stdout)["targets"][0]["threads"] == POOL + 1


def test_an_answer_with_lone_surrogates(service, threads, tmp_path):
    spoilt = [thread | {"thread_name": SURROGATE} for thread in threads]
    faulty = answering(tmp_path, json.dumps(spoilt).encode())
    shown = leakscope_cli("dump", service.pid, env=faulty.env)
    assert (shown.returncode, harmful(shown.stdout)) == (0, set())
    report = checked(leakscope_cli("dump", service.pid, "--json", env=faulty.env).stdout)
    names = {thread["name"] for group in report["groups"] for thread in group["threads"]}
    assert names == {SURROGATE}


def refused(run: subprocess.CompletedProcess[str], lines: int | None = 1) -> None:
    assert (run.returncode, run.stdout) == (5, ""), run.stderr
    assert "Traceback" not in run.stderr
    assert not harmful(run.stderr)
    assert "py-spy" in run.stderr
    assert lines is None or len(run.stderr.splitlines()) == lines
