"""The server of the figures: it can be relied on, whoever calls it and however often."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as text_format

from leakscope.errors import UsageProblem
from leakscope.exporters import serving
from leakscope.exporters.addresses import Address, address_of
from leakscope.exporters.prometheus import LatestReport
from leakscope.exporters.serving import Serving
from tests.builders import suspect
from tests.prometheus import fetched, series_of

SCRAPES = 1000


@contextlib.contextmanager
def served(latest: LatestReport) -> Iterator[Address]:
    server = Serving(address_of(":0"), latest.handler())
    server.start()
    try:
        yield server.address
    finally:
        server.close()


def test_an_address_that_is_taken_is_told_in_a_line():
    with served(LatestReport()) as address, pytest.raises(UsageProblem) as refused:
        Serving(address, LatestReport().handler())
    assert str(refused.value) == f"cannot listen on {address}: Address already in use"


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
