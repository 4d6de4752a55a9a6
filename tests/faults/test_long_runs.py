"""A watch that goes on for long costs no more memory than one that doesn't."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import mean

import pytest

from tests.documents import checked_lines
from tests.faults.processes import resident_kib
from tests.running import running, watching

SOAK_S = 600
RSS_EACH_S = 10
# How much more the last third may take than the middle one; the first is for filling up.
GROWTH = 1.10
MOST_KIB = 200 * 1024


def assert_bounded(rss_kib: list[int]) -> None:
    third = len(rss_kib) // 3
    middle, last = mean(rss_kib[third : 2 * third]), mean(rss_kib[-third:])
    assert last <= GROWTH * middle, rss_kib
    assert max(rss_kib) < MOST_KIB, rss_kib


@pytest.mark.fault(
    "Long runs",
    "24 hours of a process that makes a million short-lived threads, in 125 000 different stacks "
    "(synthetic samples, one each 10 s, through the engine)",
    "Memory is bounded: history is thinned, groups that are gone are forgotten.",
)
@pytest.mark.slow
def test_a_day_with_a_million_threads(figures):
    began_s = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-m", "tests.faults.a_day"], capture_output=True, check=False, text=True
    )
    assert run.returncode == 0, run.stderr
    hours = json.loads(run.stdout)
    figures.note(
        "24 simulated hours, a million threads",
        resident_mib_after_1_hour=hours[0] // 1024,
        after_24_hours=hours[-1] // 1024,
        seconds=round(time.monotonic() - began_s),
    )
    assert_bounded(hours)


@pytest.mark.fault(
    "Long runs",
    "10 minutes of a process that makes threads as fast as Python can (`make soak`)",
    "Memory is bounded: the last third takes at most a tenth more than the middle one.",
)
@pytest.mark.attach
@pytest.mark.soak
@pytest.mark.slow
def test_ten_minutes_of_a_million_threads(figures):
    with running("misfortunes.py") as target:
        target.tell(f"churn {SOAK_S + 60}")
        options = ("--every-dump", "-n", "200ms", "--duration", f"{SOAK_S}s")
        with (
            watching(target.pid, *options, timeout_s=SOAK_S + 60) as watch,
            ThreadPoolExecutor(1) as reader,  # or the pipe fills up
        ):
            status = reader.submit(watch.status)
            rss_kib = []
            began_s = time.monotonic()
            while time.monotonic() < began_s + SOAK_S - RSS_EACH_S:
                time.sleep(RSS_EACH_S)
                rss_kib.append(resident_kib(watch.process.pid))
            assert status.result() == 0, watch.stderr()
        made = int(target.tell("churned").split()[1])
    summary = checked_lines("".join(watch.lines))[-1]
    figures.note(
        f"soak of {SOAK_S // 60} minutes",
        threads=made,
        samples=summary["samples"],
        lost=summary["missed"],
        resident_mib=max(rss_kib) // 1024,
    )
    assert_bounded(rss_kib)
    assert summary["leaks"] == []
