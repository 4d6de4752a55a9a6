"""What is exported, and to where: the figures of one report and no other."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as text_format

from leakscope.errors import UsageProblem
from leakscope.exporters.addresses import Address, address_of
from leakscope.exporters.prometheus import LatestReport
from leakscope.exporters.textfile import TextFile
from leakscope.policy import Trend
from leakscope.report import EndedBy
from tests.builders import HOSTILE, group, hostile_report, leak, report, suspect
from tests.prometheus import series_of

# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9400", Address("127.0.0.1", 9400)),
        (":9400", Address("127.0.0.1", 9400)),
        ("0", Address("127.0.0.1", 0)),
        ("0.0.0.0:9400", Address("0.0.0.0", 9400)),
        ("localhost:9400", Address("localhost", 9400)),
        ("[::1]:9400", Address("::1", 9400)),
        ("[::]:65535", Address("::", 65535)),
    ],
)
def test_an_address_without_a_host_is_of_this_machine_only(text, address):
    assert address_of(text) == address


@pytest.mark.parametrize(
    "text",
    ["", ":", "host", "host:", "host:http", "::1", "::1:9400", "[]:9400", "[host:9400", ":65536",
     ":-1", ":+1", ":1_0", ":\u0661", ":" + "9" * 5000],
)  # fmt: skip
def test_what_is_no_address_is_refused(text):
    with pytest.raises(UsageProblem, match="cannot listen on"):
        address_of(text)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("0.0.0.0", False), ("::", False),
     ("10.0.0.1", False), ("localhost", False)],
)  # fmt: skip
def test_only_numbers_tell_who_reaches_an_address(host, is_loopback):
    assert Address(host, 9400).is_loopback is is_loopback


# --- the figures ----------------------------------------------------------------------------------


def test_before_the_first_report_no_process_is_looked_at():
    assert LatestReport().text().endswith(b"\nleakscope_target_processes 0.0\n")


def test_the_series_of_a_group_that_has_ended_are_gone():
    latest = LatestReport()
    latest.show(suspect(1))
    before = series_of(latest.text().decode())
    assert any("consume_1" in series for series in before)
    latest.show(report())
    after = series_of(latest.text().decode())
    assert not any("group=" in series for series in after)
    latest.show(suspect(1))
    assert series_of(latest.text().decode()) == before


def test_a_change_of_verdict_breaks_no_other_series():
    def series(trend: Trend) -> set[str]:
        latest = LatestReport()
        latest.show(report(group(9, trend=trend)))
        return series_of(latest.text().decode())

    changed = series(Trend.GROWING) ^ series(Trend.LEAKING)
    assert {name.partition("{")[0] for name in changed} == {"leakscope_group_verdict"}


def test_text_of_the_target_is_harmless_and_does_not_forge_a_series():
    latest = LatestReport()
    latest.show(hostile_report(HOSTILE))
    text = latest.text().decode()
    assert all(line.isprintable() for line in text.splitlines())
    assert "\u202e" not in text
    names = {family.name for family in text_format(text)}
    latest.show(hostile_report('x"} 1\nforged{a="'))
    forged = {family.name for family in text_format(latest.text().decode())}
    assert forged == names


def test_when_the_process_has_ended_its_threads_have_too():
    ended = LatestReport()
    found = group(9, trend=Trend.LEAKING)
    ended.show(report(found, leaks=(leak(found),), ended_by=EndedBy.TARGET_EXITED))
    series = series_of(ended.text().decode())
    assert "\nleakscope_target_processes 0.0\n" in ended.text().decode()
    assert "leakscope_last_sample_timestamp_seconds" in series
    assert {name for name in series if re.match("leakscope_(group|leak|limit)", name)} == set()
    goes_on = LatestReport()
    goes_on.show(report(found, leaks=(leak(found),), ended_by=EndedBy.SIGNAL))
    assert any("leakscope_group" in name for name in series_of(goes_on.text().decode()))


# --- the text file --------------------------------------------------------------------------------


def test_a_text_file_is_replaced_as_a_whole_and_named_by_a_label(tmp_path):
    path = tmp_path / "web.prom"
    file = TextFile(str(path))
    file.write(suspect(1))
    first = path.stat().st_ino
    assert all('target="web"' in series for series in series_of(path.read_text()))
    file.write(suspect(2))
    assert path.stat().st_ino != first, "never written into, but made anew"
    assert "consume_1" not in path.read_text()
    file.close()
    assert os.listdir(tmp_path) == ["web.prom"]


@pytest.mark.parametrize("name", ["web.txt", "web", "web.prom.txt", ".prom"])
def test_a_text_file_that_would_never_be_read_is_refused(name, tmp_path):
    with pytest.raises(UsageProblem, match=r"only files in \.prom"):
        TextFile(str(tmp_path / name))


def test_a_text_file_that_is_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "web.prom")
    with pytest.raises(UsageProblem, match="a pipe or a device"):
        TextFile(str(tmp_path / "web.prom"))


def test_a_folder_that_is_not_there_is_told_at_once(tmp_path: Path):
    with pytest.raises(UsageProblem, match="cannot write to"):
        TextFile(str(tmp_path / "missing" / "web.prom"))
