"""`leakscope rank` over as many reports as a fleet has: how long it takes, and how much memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple

import pytest

from leakscope.policy import Trend
from leakscope.renderers import json_report
from tests.builders import frame, getting, group, key, leak, points, report, started, target
from tests.documents import Document, checked
from tests.running import leakscope_cli, running

SERVICE = ("leaky_service.py", "--pool", "4", "--requests", "0")
MANY = 10_000
LEAKS = 40  # that differ
# Of a process with a hundred leaked threads and a dozen groups that were watched for ten minutes.
USUAL_BYTES = 25_000
LONGEST_S = 10.0
MOST_MEMORY_KIB = 100 * 1024
GROWS_KIB = 4 * 1024  # from a tenth of the reports to all


class Done(NamedTuple):
    """A run of leakscope."""

    document: Document
    wall_s: float
    cpu_s: float
    peak_kib: int


def lines_of_reports() -> list[bytes]:
    """A report for each leak, as big as they usually are."""
    return [_line(number) for number in range(LEAKS)]


def _line(number: int) -> bytes:
    pid = 1000 + number
    frames = getting(frame(f"consume_{number}"))
    watched = points(*range(60))
    leaking = group(100 + number, frames, Trend.LEAKING, points=watched)
    others = [group(3, started(frame(f"work_{number}_{i}")), points=watched) for i in range(12)]
    threads = tuple(key(i, pid) for i in range(100 + number))
    found = report(
        leaking, *others, targets=(target(pid=pid),), leaks=(leak(leaking, leaked=threads),)
    )
    (line,) = json_report.lines(found)
    return f"{line}\n".encode()


# Starts a command and says on standard error what it used. The kernel counts with a process what
# the one that started it had taken until then, which of a run of many tests is more than leakscope.
MEASURING = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)
sys.exit(status)
"""


def ranked(*argv: str, stdin: IO[bytes] | int = subprocess.DEVNULL) -> Done:
    began_s = time.monotonic()
    command = [sys.executable, "-m", "leakscope", "rank", *argv, "--json"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURING, *command],
        stdin=stdin,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    cpu_s, peak_kib = done.stderr.splitlines()[-1].split()
    took_s = time.monotonic() - began_s
    return Done(json.loads(done.stdout), took_s, float(cpu_s), int(peak_kib))


def streamed(lines: Sequence[bytes], reports: int) -> Done:
    """So many reports, or what else these lines are, through standard input, as a pipe."""
    reading, writing = os.pipe()

    def feed() -> None:
        with open(writing, "wb") as pipe:
            for number in range(reports):
                pipe.write(lines[number % len(lines)])

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        with open(reading, "rb") as pipe:
            return ranked("-", stdin=pipe)
    finally:
        feeder.join()


def check(done: Done, reports: int) -> None:
    assert done.document["reports"] == done.document["instances"] == reports
    assert len(done.document["leaks"]) == LEAKS
    assert {leak["instances"] for leak in done.document["leaks"]} == {reports // LEAKS}
    total = sum(leak["total"] for leak in done.document["leaks"])
    assert total == reports // LEAKS * sum(100 + number for number in range(LEAKS))
    assert done.peak_kib < MOST_MEMORY_KIB


def test_a_thousand_reports_as_one_stream_and_as_files(tmp_path):
    lines = lines_of_reports()
    check(streamed(lines, 1000), 1000)
    for number in range(1000):
        (tmp_path / f"pod-{number}.json").write_bytes(lines[number % LEAKS])
    check(ranked(*map(str, sorted(tmp_path.iterdir()))), 1000)


def test_reports_within_the_log_of_a_pod_are_ranked():
    """Many more lines of a log than reports, as of all pods of a service in one pipe."""
    lines = [b"2026-11-28 12:00:00 INFO ready\n" * 200 + line for line in lines_of_reports()]
    done = streamed(lines, 1000)
    check(done, 1000)
    assert (done.document["unreadable"], done.document["other_lines"]) == (0, 200 * 1000)


@pytest.mark.slow
@pytest.mark.alone
def test_ten_thousand_reports_take_less_than_ten_seconds(tmp_path, record_property):
    lines = lines_of_reports()
    assert min(map(len, lines)) > USUAL_BYTES
    few = streamed(lines, MANY // 10)
    for name, done in (("stream", streamed(lines, MANY)), ("files", _of_files(tmp_path, lines))):
        check(done, MANY)
        said = f"{done.wall_s:.1f} s, {done.cpu_s:.1f} s of CPU, {done.peak_kib >> 10} MiB"
        record_property(f"{MANY} reports as {name}", said)
        print(f"{MANY} reports of {sum(map(len, lines)) // LEAKS} bytes as {name}: {said}")
        assert done.wall_s < LONGEST_S
        # Of files the names are arguments, which take memory of their own: less than 2 KiB each,
        # for the kernel, for Python and for click.
        grows_kib = GROWS_KIB if name == "stream" else GROWS_KIB + 2 * MANY
        assert done.peak_kib - few.peak_kib < grows_kib


def _of_files(folder: Path, lines: Sequence[bytes]) -> Done:
    for number in range(MANY):
        (folder / f"pod-{number}.json").write_bytes(lines[number % LEAKS])
    return ranked(*map(str, sorted(folder.iterdir())))


@pytest.mark.attach
def test_what_a_look_at_real_processes_wrote_is_ranked(tmp_path):
    """What leakscope writes of processes that are well; of leaks it is made in the tests above."""
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    with running(*SERVICE) as one, running(*SERVICE) as two:
        for service, file in zip((one, two), files, strict=True):
            done = leakscope_cli("dump", service.pid, "--json", "-o", file)
            assert done.returncode == 0, done.stderr
    done = leakscope_cli("rank", *files, "--json")
    assert done.returncode == 0, done.stderr
    document = checked(done.stdout)
    assert (document["reports"], document["instances"], document["leaks"]) == (2, 2, [])
