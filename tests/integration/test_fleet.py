"""A fleet as Prometheus sees it: two of three processes leak the same way, and one query finds it.

The real Prometheus scrapes three real watches of three real processes, with the rules and the
dashboard that leakscope brings. It all goes on in a thread beside the other tests of this folder.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from leakscope.assets import assets
from tests.documents import checked_lines
from tests.prometheus import fetched, need, prometheus, promtool, tool
from tests.running import Watching, running, watching

pytestmark = pytest.mark.attach

LEAKING = ("pod-1", "pod-2")
HEALTHY = "pod-3"
# As a person would write it, without the rules.
QUERY = (
    "sum by (group, site) (leakscope_group_threads * ignoring (site, wait, verdict) group_left () "
    'leakscope_group_verdict{verdict=~"leaking|runaway"})'
)
COUNT = QUERY.replace("sum by", "count by")
FLEET_ALERT = "LeakscopeThreadLeakInFleet"
# A leak is named after half a minute; the machine may have other things to do.
WAIT_S = 80.0
SCRAPES = 1000
FILES = {asset.path: asset.content.decode() for asset in assets()}
DASHBOARD = json.loads(FILES["grafana/dashboard.json"])


class Fleet(NamedTuple):
    """What Prometheus said when the alert fired, and what the watches left."""

    threads: list[tuple[dict[str, str], float]]  # of the query
    instances: list[tuple[dict[str, str], float]]
    alerts: list[dict[str, Any]]
    dashboard: dict[str, int]  # expression -> how many series answer it
    series: list[set[str]]  # of the healthy process, at each of many scrapes
    text_file: str
    summaries: list[dict[str, Any]]


def begun_early(
    pool: ThreadPoolExecutor, wanted: list[pytest.Item], paths: pytest.TempPathFactory
) -> Future[Fleet] | None:
    """Let it begin, where there is a Prometheus."""
    if tool("prometheus") is None:
        return None
    return pool.submit(watch_fleet, paths.mktemp("fleet"))


@pytest.fixture
def fleet(begun: Future[Fleet] | None) -> Fleet:
    need("prometheus")
    assert begun is not None
    return begun.result()


def watch_fleet(folder: Path) -> Fleet:
    """Watch three processes, of which two leak, until Prometheus raises the alert."""
    text_file = folder / "pod-1.prom"
    with contextlib.ExitStack() as stack:
        watches = {}
        for instance in (*LEAKING, HEALTHY):
            service = stack.enter_context(running("leaky_service.py", "--requests", "10"))
            if instance in LEAKING:
                service.tell("autoleak 2")
            more = ("--textfile", str(text_file)) if instance == LEAKING[0] else ()
            watch = watching(service.pid, "--listen", "0", *more, timeout_s=2 * WAIT_S)
            watches[instance] = stack.enter_context(watch)
        addresses = {instance: address(watch) for instance, watch in watches.items()}
        server = stack.enter_context(prometheus(folder, addresses, quick_rules()))
        series = list(scraped(f"http://{addresses[HEALTHY]}/metrics"))
        until(lambda: any(fires(alert, FLEET_ALERT) for alert in server.api("alerts")["alerts"]))
        answers = {expression: len(server.query(expression)) for expression in expressions()}
        seen = (server.query(QUERY), server.query(COUNT), server.api("alerts")["alerts"])
        summaries = [ended(watch) for watch in watches.values()]
        return Fleet(*seen, answers, series, text_file.read_text(), summaries)


def address(watch: Watching) -> str:
    """Where a watch can be scraped."""
    until(lambda: "\n" in watch.stderr())
    (found,) = re.findall(r"metrics are at http://(.+)/metrics$", watch.stderr(), re.M)
    return str(found)


def ended(watch: Watching) -> dict[str, Any]:
    """The summary of a watch that is told to end."""
    watch.process.terminate()
    return checked_lines("".join(watch.until_end()))[-1]


def quick_rules() -> dict[str, Any]:
    """The rules, but without the patience: it is promtool that tests that."""
    rules: dict[str, Any] = yaml.safe_load(FILES["prometheus/rules.yaml"])
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "2s"
    return rules


def expressions() -> list[str]:
    """What the dashboard asks, with the variables that Grafana fills in set to all."""
    asked = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    return [
        expression.replace("$job", ".*")
        .replace("$instance", ".*")
        .replace("$__rate_interval", "10s")
        for expression in asked
    ]


def scraped(url: str) -> Iterator[set[str]]:
    """The series that each of many scrapes finds."""
    for _ in range(SCRAPES):
        lines = fetched(url).splitlines()
        yield {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}


def fires(alert: dict[str, Any], name: str) -> bool:
    return bool(alert["labels"]["alertname"] == name and alert["state"] == "firing")


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.25)


# --- the fleet ------------------------------------------------------------------------------------


def test_one_query_finds_the_leak_of_two_instances(fleet):
    ((labels, threads),) = fleet.threads
    assert "consume" in labels["site"]
    assert threads >= 2 * 8, "those of both"
    ((same, instances),) = fleet.instances
    assert (same, instances) == (labels, len(LEAKING))
    leaks = {leak["id"] for summary in fleet.summaries for leak in summary["leaks"]}
    assert leaks == {labels["group"]}, "the id is that of the reports, on each of them"


def test_the_alert_fires_once_for_the_fleet_and_once_for_each_instance(fleet):
    names = [alert["labels"]["alertname"] for alert in fleet.alerts]
    assert names.count(FLEET_ALERT) == 1
    by_instance = [alert for alert in fleet.alerts if fires(alert, "LeakscopeThreadLeak")]
    assert sorted(alert["labels"]["instance"] for alert in by_instance) == list(LEAKING)
    (alert,) = [alert for alert in fleet.alerts if fires(alert, FLEET_ALERT)]
    assert "on 2 instances" in alert["annotations"]["summary"]
    assert "consume" in alert["annotations"]["summary"]


def test_every_panel_of_the_dashboard_gets_an_answer(fleet):
    assert fleet.dashboard
    assert [expression for expression, series in fleet.dashboard.items() if not series] == []


SERIES_OF_A_SUSPECT = 4  # its threads, growth, oldest age and verdict


def test_a_thousand_scrapes_under_churn_leak_no_series(fleet):
    assert len(fleet.series) == SCRAPES
    begun = [series for series in fleet.series if series]
    assert len(begun) > SCRAPES / 2
    # Each suspect has four, and one or two come and go where threads do. What leaked would pile up.
    assert max(map(len, begun)) <= len(begun[0]) + 2 * SERIES_OF_A_SUSPECT


def test_the_text_file_is_what_node_exporter_reads(fleet):
    assert 'target="pod-1"' in fleet.text_file
    checked = promtool("check", "metrics", input=fleet.text_file)
    assert (checked.returncode, checked.stderr) == (0, "")
