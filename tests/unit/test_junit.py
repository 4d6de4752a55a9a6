"""The verdict as a JUnit test case."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import pytest
from hypothesis import given

from leakscope.commands import replay, run, watch
from leakscope.commands.beside import beside_options
from leakscope.commands.in_ci import case_at
from leakscope.commands.options import redact_option, verdict_options
from leakscope.commands.statuses import fails, status_of
from leakscope.errors import NotPermitted
from leakscope.redaction import redacted
from leakscope.renderers.junit import lines, lines_of_error
from leakscope.report import Overall
from leakscope.sources.target import command_of
from tests.builders import WATCH, hostile_report
from tests.hostile import EVIL


def suite(report, *fail_on):
    failed = fails(report, fail_on)
    return ElementTree.fromstring("\n".join(lines(report, "python app.py", failed=failed)).encode())


def test_a_leak_fails():
    read = suite(WATCH)
    assert (read.get("tests"), read.get("failures"), read.get("skipped")) == ("1", "1", "0")
    (case,) = read
    assert case.get("name") == "no thread leak in python app.py"
    assert case.find("failure").get("message").startswith("LEAKING: 1 leak in process 4711")
    assert "consume" in case.find("system-out").text


def test_what_is_unknown_is_skipped_and_what_is_clean_passes():
    assert suite(replace(WATCH, verdict=Overall.UNKNOWN)).find("testcase/skipped") is not None
    clean = suite(replace(WATCH, verdict=Overall.CLEAN))
    assert [part.tag for part in clean.find("testcase")] == ["system-out"]


@pytest.mark.parametrize("verdict", [Overall.GROWING, Overall.UNKNOWN])
def test_it_fails_by_what_the_exit_status_fails_by(verdict):
    found = replace(WATCH, verdict=verdict)
    for fail_on, status in ((), 0), ((verdict.value,), 1):
        read = suite(found, *fail_on)
        assert int(read.get("failures")) == status
        assert status_of(found, exit_zero=False, fail_on=fail_on) == status
        assert (read.find("testcase/failure") is not None) is bool(status)
    assert read.get("skipped") == "0"


def case_of(command: click.Command, *words: str) -> Any:
    """The test case that this command line makes, without doing anything else."""
    with command.make_context("x", list(words)):
        return case_at("c.xml")


def name_in(path="c.xml"):
    (case,) = ElementTree.parse(path).getroot()
    return case.get("name", "").removeprefix("no thread leak in ")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_command_hands_on_what_it_fails_on():
    case = case_of(watch.command, "4711", "--fail-on", "growing")
    case.finish(replace(WATCH, verdict=Overall.GROWING))
    assert 'failures="1"' in Path("c.xml").read_text()


@pytest.mark.parametrize(
    ("command", "words", "name"),
    [
        (run.command, ["--", "python", "h.py", "60"], "python h.py 60"),
        (run.command, ["python", "h.py", "--token=t0psecret"], "python h.py --token=***"),
        (watch.command, [], "the watched process"),
        (watch.command, ["2147483647"], "the watched process"),
        (replay.command, ["a.jsonl"], "the recording a.jsonl"),
    ],
)
def test_its_name_is_of_what_was_asked_for(command, words, name):
    """The same for no process, for many, and where leakscope fails: CI follows it by its name."""
    for targets in (), WATCH.targets, WATCH.targets * 4:
        case_of(command, *words).finish(replace(WATCH, targets=targets))
        assert name_in() == name
    case_of(command, *words).fail("not permitted")
    assert name_in() == name


def test_a_process_is_named_by_its_command():
    case_of(watch.command, str(os.getpid()), "1").fail("not permitted")
    assert name_in() == " ".join(redacted(command_of(os.getpid())))


def test_where_there_is_no_report_it_is_an_error():
    Path("c.xml").write_text("an older one\n")
    case_of(run.command, "x").fail("not permitted\nRun it as root.")
    read = ElementTree.parse("c.xml").getroot()
    assert (read.get("tests"), read.get("errors"), read.get("failures")) == ("1", "1", "0")
    (error,) = read.iter("error")
    assert error.get("message") == "not permitted"
    assert error.text == "not permitted\nRun it as root."


def test_what_fails_after_the_verdict_does_not_change_it():
    case = case_of(run.command, "x")
    case.finish(replace(WATCH, verdict=Overall.CLEAN))
    case.fail("cannot write to somewhere else")
    assert 'errors="0"' in Path("c.xml").read_text()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (NotPermitted("not permitted", "Run it as root."), "not permitted"),
        (SystemExit(143), "leakscope was ended before its report"),
        (ZeroDivisionError("by 0"), "ZeroDivisionError: by 0"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_ends_a_command_is_told_to_ci(error, said):
    @click.command()
    @click.argument("words", nargs=-1)
    @beside_options("html", "on_leak", "listen", "textfile")
    @redact_option
    @verdict_options
    def failing(**_values: Any) -> None:
        raise error

    with pytest.raises(type(error)):
        failing.main(["--junit", "c.xml", "x"], standalone_mode=False)
    (failed,) = ElementTree.parse("c.xml").getroot().iter("error")
    assert failed.get("message") == said


@given(text=EVIL)
def test_it_can_be_read_whatever_the_target_is_called(text):
    assert suite(hostile_report(text)).find("testcase") is not None
    written = "\n".join(lines_of_error(text, text))
    assert ElementTree.fromstring(written.encode()).find("testcase/error") is not None
