"""A leak is found while somebody else stops the process: py-spy for a moment, a person for long."""

from __future__ import annotations

import os
import signal
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from leakscope.sources.pyspy import find_pyspy
from tests.documents import Document, checked_lines
from tests.running import running, watching

pytestmark = pytest.mark.attach

# A poller runs at each look, the others wait for things that never come.
SERVICE = ("leaky_service.py", "--pool", "8", "--requests", "0", "--pollers", "1")
LEAK_PER_S = 1
# After so many more samples each, the process is dumped; even times could be a clock's.
SAMPLES_BETWEEN = (5, 3, 8, 4, 7, 6)


def begun_early(
    pool: ThreadPoolExecutor, wanted: list[pytest.Item], paths: pytest.TempPathFactory
) -> Future[Document]:
    """Let it begin."""
    return pool.submit(watch_what_is_stopped)


def watch_what_is_stopped() -> Document:
    with ExitStack() as stack:
        service = stack.enter_context(running(*SERVICE))
        service.tell(f"autoleak {LEAK_PER_S}")
        watch = stack.enter_context(watching(service.pid))
        for samples in SAMPLES_BETWEEN:
            watch.until("sample", samples)
            command = [find_pyspy(), "dump", "--pid", str(service.pid)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        watch.until("sample", 3)
        os.kill(service.pid, signal.SIGSTOP)
        watch.until("sample", 3)
        os.kill(service.pid, signal.SIGCONT)
        watch.until("sample", 5)
        watch.process.terminate()
        return checked_lines("".join(watch.until_end()))[-1]


@pytest.mark.fault(
    "The target lives its life",
    "somebody else stops it meanwhile, by `py-spy dump` for a moment, by SIGSTOP for seconds: all "
    "its threads run",
    "That is told from use: the leak is found, and `not seen` says how often the process was "
    "stopped.",
)
def test_a_leak_is_found_though_the_process_is_stopped_meanwhile(begun):
    summary = begun.result()
    assert summary["verdict"] == "leaking"
    (leak,) = summary["leaks"]
    assert leak["site"]["function"] == "consume"
    assert leak["count"] > 30 * LEAK_PER_S
    assert any("stopped the whole process" in line for line in summary["not_seen"])
