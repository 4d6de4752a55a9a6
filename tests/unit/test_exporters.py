"""What is exported: the figures of one report and no other, by a server that can be relied on."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as text_format

from leakscope.errors import UsageProblem
from leakscope.exporters import serving
from leakscope.exporters.addresses import Address, address_of
from leakscope.exporters.prometheus import LatestReport
from leakscope.exporters.serving import Serving
from leakscope.exporters.textfile import TextFile
from leakscope.policy import Trend
from leakscope.report import EndedBy, Report
from tests.builders import HOSTILE, frame, group, hostile_report, leak, report, started
from tests.prometheus import fetched

SCRAPES = 1000


def suspect(number: int, size: int = 9) -> Report:
    """A report with one leak, in a function of that number."""
    found = group(size, started(frame(f"consume_{number}")), Trend.LEAKING)
    return report(found, leaks=(leak(found),))


def series_of(text: str) -> set[str]:
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


@contextlib.contextmanager
def served(latest: LatestReport) -> Iterator[Address]:
    server = Serving(address_of(":0"), latest.handler())
    server.start()
    try:
        yield server.address
    finally:
        server.close()


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


def test_an_address_that_is_taken_is_told_in_a_line():
    with served(LatestReport()) as address, pytest.raises(UsageProblem) as refused:
        Serving(address, LatestReport().handler())
    assert str(refused.value) == f"cannot listen on {address}: Address already in use"


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


def test_a_scraper_gets_the_format_that_it_asks_for():
    latest = LatestReport()
    latest.show(suspect(1))
    with served(latest) as address:
        assert list(text_format(fetched(f"http://{address}/metrics")))
        connection = http.client.HTTPConnection(address.host, address.port, timeout=10)
        wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}
        connection.request("GET", "/metrics", headers=wanted)
        answer = connection.getresponse()
        assert "openmetrics-text" in answer.headers["Content-Type"]
        assert list(open_metrics(answer.read().decode()))


def test_a_thousand_scrapes_while_suspects_come_and_go_leak_no_series_and_no_thread():
    latest = LatestReport()
    latest.show(suspect(0))
    expected = len(series_of(latest.text().decode()))
    threads = threading.active_count()
    with served(latest) as address:
        for number in range(SCRAPES):
            latest.show(suspect(number))
            found = series_of(fetched(f"http://{address}/metrics"))
            assert len(found) == expected
            assert {name for name in found if "consume_" in name} == {
                name for name in found if f'consume_{number}"' in name
            }
    assert threading.active_count() <= threads + serving.MOST_AT_ONCE


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


# --- the server -----------------------------------------------------------------------------------


def test_who_says_nothing_takes_no_more_than_a_few_threads(monkeypatch):
    monkeypatch.setattr(serving, "PATIENCE_S", 0.2)
    latest = LatestReport()
    latest.show(suspect(1))
    threads = threading.active_count()
    with served(latest) as address, contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(address, timeout=10))
            for _ in range(3 * serving.MOST_AT_ONCE)
        ]
        for connection in silent:
            assert connection.recv(100) in (b"", serving._BUSY), "cut off, or turned away"
        assert threading.active_count() <= threads + serving.MOST_AT_ONCE + 1
        assert fetched(f"http://{address}/metrics")


def test_who_speaks_slowly_is_cut_off_as_well(monkeypatch):
    """Each word comes in time; it is the whole that does not."""
    monkeypatch.setattr(serving, "PATIENCE_S", 0.5)
    with served(LatestReport()) as address, contextlib.ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(address, timeout=10))
            for _ in range(serving.MOST_AT_ONCE)
        ]
        began_s = time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            slow[0].sendall(b"GET /metrics HTTP/1.1\r\n")
            while time.monotonic() < began_s + 10:
                slow[0].sendall(b"X: y\r\n")
                time.sleep(0.05)
        assert time.monotonic() < began_s + 10
        assert fetched(f"http://{address}/metrics")


def test_who_is_turned_away_is_told_why():
    with served(LatestReport()) as address, contextlib.ExitStack() as stack:
        for _ in range(serving.MOST_AT_ONCE):
            stack.enter_context(socket.create_connection(address, timeout=10))
        late = stack.enter_context(socket.create_connection(address, timeout=10))
        assert late.recv(100) == serving._BUSY


def test_which_python_answers_is_nobodys_business():
    with served(LatestReport()) as address:
        connection = http.client.HTTPConnection(address.host, address.port, timeout=10)
        connection.request("GET", "/metrics")
        assert connection.getresponse().headers["Server"].strip() == "leakscope"


def test_a_client_that_goes_away_is_no_trouble(capfd):
    latest = LatestReport()
    latest.show(suspect(1))
    with served(latest) as address:
        for request in (
            b"",
            b"GET /metrics HTTP/1.1\r\n\r\n",
            b"\x00\xff\r\n\r\n",
            b"PUT / HTTP/1.1\r\n\r\n",
        ):
            with socket.create_connection(address, timeout=10) as connection:
                connection.sendall(request)
        assert fetched(f"http://{address}/metrics")
    assert capfd.readouterr() == ("", "")


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
