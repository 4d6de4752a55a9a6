"""The verdict as a JUnit test case."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given

from leakscope.commands.beside import BESIDE
from leakscope.commands.statuses import fails, status_of
from leakscope.renderers.junit import lines
from leakscope.report import Overall
from tests.builders import WATCH, hostile_report
from tests.hostile import EVIL


def suite(report, *fail_on):
    failed = fails(report, fail_on)
    return ElementTree.fromstring("\n".join(lines(report, failed=failed)).encode())


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


def test_the_command_hands_on_what_it_fails_on(tmp_path):
    beside = BESIDE["junit"][1](str(tmp_path / "j.xml"), ("growing",))
    beside.finish(replace(WATCH, verdict=Overall.GROWING))
    assert 'failures="1"' in (tmp_path / "j.xml").read_text()


@given(text=EVIL)
def test_it_can_be_read_whatever_the_target_is_called(text):
    assert suite(hostile_report(text)).find("testcase") is not None
