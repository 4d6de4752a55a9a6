"""The verdict as a JUnit test case."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from hypothesis import given

from leakscope.renderers.junit import lines
from leakscope.report import Overall
from tests.builders import WATCH, hostile_report
from tests.hostile import EVIL


def suite(report):
    return ElementTree.fromstring("\n".join(lines(report)).encode())


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


@given(text=EVIL)
def test_it_can_be_read_whatever_the_target_is_called(text):
    assert suite(hostile_report(text)).find("testcase") is not None
