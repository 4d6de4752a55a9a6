"""A real process, in the formats of others: what they read is what leakscope saw."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.documents import group_at
from tests.readers import flamegraph_draws, inferno_draws, speedscope_schema
from tests.running import leakscope_cli, running

pytestmark = pytest.mark.attach

POOL, LEAKED = 4, 7
SERVICE = ("leaky_service.py", "--pool", str(POOL), "--requests", "0")


@dataclass
class Saved:
    """What was saved of a service while it leaked."""

    before: Path
    after: Path
    recording: Path
    dumps: dict[str, str]  # of the service after it leaked, by format
    watched: str  # in speedscope's format


def out_of(*argv: str | int | Path, status: int = 0) -> str:
    done = leakscope_cli(*argv)
    assert done.returncode == status, (done.stdout, done.stderr)
    assert not done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    folder = tmp_path_factory.mktemp("formats")
    before, after = folder / "before.json", folder / "after.json"
    recording = folder / "recording.jsonl.gz"
    short = ("--count", 2, "--interval", "200ms", "--quiet")
    with running(*SERVICE) as service:
        out_of("dump", service.pid, "--json", "-o", before)
        service.tell(f"leak {LEAKED}")
        out_of("dump", service.pid, "--json", "-o", after)
        out_of("watch", service.pid, *short, "--record", recording, "-o", folder / "watch")
        dumps = {
            name: out_of("dump", service.pid, "--format", name)
            for name in ("folded", "speedscope", "openmetrics")
        }
        watched = out_of("watch", service.pid, *short, "--format", "speedscope")
    return Saved(before, after, recording, dumps, watched)


def metrics(text: str) -> dict[str, float]:
    families = text_string_to_metric_families(text)
    return {sample.name: sample.value for family in families for sample in family.samples}


def threads_of(file: Path) -> int:
    return sum(group["count"] for group in json.loads(file.read_text())["groups"])


def test_folded(saved):
    for text in (
        saved.dumps["folded"],
        out_of("replay", saved.recording, "--format", "folded"),
    ):
        lines = text.splitlines()
        assert re.search(r";consume \(.*service\.py\);.*;Condition\.wait \(.*\) 7$", text, re.M)
        assert sum(int(line.rpartition(" ")[2]) for line in lines) == threads_of(saved.after)
        for draws in (inferno_draws, flamegraph_draws):
            assert f"all ({threads_of(saved.after)} samples, 100%)" in draws(lines)


def test_speedscope(saved):
    for text in (
        saved.dumps["speedscope"],
        saved.watched,
        out_of("replay", saved.recording, "--format", "speedscope"),
    ):
        file = json.loads(text)
        jsonschema.validate(file, speedscope_schema())
        assert file["profiles"][-1]["endValue"] == threads_of(saved.after)


def test_openmetrics(saved):
    for text in (
        saved.dumps["openmetrics"],
        out_of("replay", saved.recording, "--format", "openmetrics"),
    ):
        found = metrics(text)
        assert found["leakscope_target_threads"] == threads_of(saved.after)
        assert found["leakscope_leaks"] == 0


def test_a_comparison(saved):
    pair = (saved.before, saved.after)
    folded = out_of("diff", *pair, "--format", "folded", status=1)
    assert folded.splitlines()[0].endswith(" 0 7")
    for draws in (inferno_draws, flamegraph_draws):
        assert "all (" in draws(folded.splitlines())
    file = json.loads(out_of("diff", *pair, "--format", "speedscope", status=1))
    jsonschema.validate(file, speedscope_schema())
    assert [profile["endValue"] for profile in file["profiles"]] == list(map(threads_of, pair))
    found = metrics(out_of("diff", *pair, "--format", "openmetrics", status=1))
    assert found["leakscope_diff_has_grown"] == 1
    after = json.loads(saved.after.read_text())
    assert group_at(after, "consume")["count"] == LEAKED
