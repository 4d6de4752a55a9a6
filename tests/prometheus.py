"""The real Prometheus, on the loopback, for the tests to be scraped by."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

BROUGHT = Path(__file__).parent.parent / ".prometheus" / "usr" / "bin"
WAIT_S = 30.0
# To itself: a proxy of the machine's has no part in this.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def tool(name: str) -> Path | None:
    """Where `prometheus` or `promtool` is."""
    if (BROUGHT / name).exists():
        return BROUGHT / name
    found = shutil.which(name)
    return Path(found) if found else None


def need(name: str) -> Path:
    """The same; the test is skipped where it is not there."""
    found = tool(name)
    if found is None:
        pytest.skip(f"no {name} here; on Debian `make prometheus` brings it")
    return found


def promtool(*args: str | Path, input: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run promtool."""
    return subprocess.run(
        [need("promtool"), *map(str, args)],
        capture_output=True,
        check=False,
        input=input,
        text=True,
    )


def fetched(url: str) -> str:
    """What is there, as text."""
    with _OPENER.open(url, timeout=WAIT_S) as answer:
        return bytes(answer.read()).decode()


def series_of(text: str) -> set[str]:
    """The series of a text in the format: names with their labels, without values."""
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


class Prometheus:
    """A server that runs."""

    def __init__(self, url: str) -> None:
        self._url = url

    def api(self, path: str, **parameters: str) -> Any:
        """The data that its API answers."""
        query = urllib.parse.urlencode(parameters)
        answer = json.loads(fetched(f"{self._url}/api/v1/{path}?{query}"))
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The labels and the value of each series that an expression gives now."""
        found = self.api("query", query=expression)["result"]
        return [(series["metric"], float(series["value"][1])) for series in found]


@contextlib.contextmanager
def prometheus(
    folder: Path, targets: Mapping[str, str], rules: Mapping[str, Any]
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes targets (instance -> address) each second, and minds these rules.

    To be started in a thread, so it may not skip: ask `tool` before.
    """
    (folder / "rules.yaml").write_text(json.dumps(rules))  # YAML takes JSON
    scraped = [
        {"targets": [address], "labels": {"instance": instance}}
        for instance, address in targets.items()
    ]
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": "leakscope", "static_configs": scraped}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "nice",  # other tests go on meanwhile, and some of them are timed
                str(tool("prometheus")),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _until_ready(process, url, folder / "log")
        yield Prometheus(url)
    finally:
        process.kill()
        process.wait()


def _until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            fetched(f"{url}/-/ready")
            return
        except (urllib.error.URLError, ConnectionError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"no Prometheus:\n{log.read_text()[-2000:]}") from None
            time.sleep(0.1)


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
