"""The alert rules and the dashboard, by Prometheus's own tool: what it accepts, and when they fire.

Nothing is attached to here; test_fleet.py has them at work.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from leakscope.assets import assets
from tests.prometheus import promtool

CASES = Path(__file__).parent.parent / "data" / "prometheus_rules.yaml"
FILES = {asset.path: asset.content.decode() for asset in assets()}
RULES = FILES["prometheus/rules.yaml"]
ALERTS = [
    rule for group in yaml.safe_load(RULES)["groups"] for rule in group["rules"] if "alert" in rule
]


def test_promtool_accepts_the_rules(tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    checked = promtool("check", "rules", rules)
    assert checked.returncode == 0, checked.stderr


def test_each_rule_fires_when_it_should_and_not_before(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    cases = tmp_path / "cases.yaml"
    text = CASES.read_text()
    cases.write_text(text.replace("[RULES]", "[rules.yaml]"))
    tested = promtool("test", "rules", cases)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert [alert["alert"] for alert in ALERTS if f"alertname: {alert['alert']}" not in text] == []


def test_each_alert_says_what_it_is_and_why_it_waits():
    assert ALERTS
    for alert in ALERTS:
        assert {"summary", "description"} == alert["annotations"].keys()
        assert alert["labels"]["severity"] in ("critical", "warning", "info")
        said, _, _ = RULES.partition(f"- alert: {alert['alert']}")[2].partition(" for: ")
        reason = said.rstrip().splitlines()[-1]
        assert reason.strip().startswith("#"), f"no reason for the patience of {alert['alert']}"


def test_the_dashboard_asks_only_for_what_there_is():
    dashboard = json.loads(FILES["grafana/dashboard.json"])
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels)
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)\}?", FILES["grafana/dashboard.json"])) <= {
        *variables,
        "__rate_interval",
        "__all",
    }
