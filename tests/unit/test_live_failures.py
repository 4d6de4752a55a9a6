"""Dumps that fail are paid for and spaced, whatever they fail of; py-spy is made to fail here."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from leakscope.model import Missed, Tick
from leakscope.sources import pyspy as module
from leakscope.sources.budget import Budget
from leakscope.sources.child import Child
from leakscope.sources.live import LiveSource
from leakscope.sources.pyspy import PySpy
from leakscope.sources.stopping import Stop, stopped_by_signals
from leakscope.sources.timetable import Schedule

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the kernel's counters")


class FaultyPySpy:
    """A program in the place of py-spy, and what looks at this process with it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._script = folder / "py-spy"
        self._calls = folder / "calls"
        self.stop = Stop()
        self._sources: list[LiveSource] = []
        monkeypatch.setattr(module, "find_pyspy", lambda: str(self._script))

    def source(self, fault: str, *, timeout_s: float, budget: Budget) -> LiveSource:
        """Samples of this very process, by a py-spy that does what this shell code says."""
        self._script.write_text(f"#!/bin/sh\necho $$ >> {self._calls}\n{fault}\n")
        self._script.chmod(0o755)
        schedule = Schedule(interval_s=0.2)
        spy = PySpy(os.getpid(), timeout_s=timeout_s)
        source = LiveSource(os.getpid(), schedule, self.stop, pyspy=spy, budget=budget)
        self._sources.append(source)
        return source

    def close(self) -> None:
        """End what a failed test left under way."""
        for source in self._sources:
            source.close()
        self.stop.close()

    @property
    def calls(self) -> list[int]:
        """The PIDs of all calls."""
        return [int(pid) for pid in self._calls.read_text().split()]


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyPySpy]:
    pyspy = FaultyPySpy(tmp_path, monkeypatch)
    yield pyspy
    pyspy.close()


def is_running(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def failures(source: LiveSource, budget: Budget) -> None:
    """Look until no first dump is hoped for any more, and some more."""
    while budget.spent_s() == 0.0:
        sample = source.look()
        assert isinstance(sample, Missed | Tick)


BURNING = "while :; do :; done"


def test_dumps_that_hang_are_paid_for_and_not_repeated_at_once(faulty):
    budget = Budget(0.0001)  # of which the first of them takes all
    source = faulty.source(BURNING, timeout_s=0.05, budget=budget)
    failures(source, budget)
    tried = len(faulty.calls)
    for _ in range(20):
        assert isinstance(source.look(), Tick)
    assert len(faulty.calls) == tried
    cost = source.cost
    assert cost.dumps == cost.failed == tried
    assert cost.ticks > tried
    assert not any(map(is_running, faulty.calls))


def test_where_no_first_dump_is_to_be_had_looking_is_paid_for(faulty):
    budget = Budget(0.0001)
    source = faulty.source("exit 1", timeout_s=5.0, budget=budget)
    failures(source, budget)
    before_s = budget.spent_s()
    while budget.spent_s() == before_s:  # nothing but counters is read any more
        source.look()


def test_an_endless_answer_is_a_failed_dump(faulty, monkeypatch):
    monkeypatch.setattr("leakscope.sources.child.MAX_ANSWER", 1 << 20)
    source = faulty.source("exec yes", timeout_s=5.0, budget=Budget(0.0001))
    while not isinstance(sample := source.look(), Missed):
        assert isinstance(sample, Tick)  # it is still going on
    assert sample.reason == "py-spy's answer cannot be read: more than 1 MiB"
    assert source.cost.dumps == source.cost.failed > 0


def test_a_second_ctrl_c_leaves_no_dump_behind(faulty, monkeypatch):
    """The first one is to let the dump finish."""
    under_way: list[int] = []

    def interrupted(child: Child, wait_s: float) -> bool:
        under_way.append(child.pid)
        signal.raise_signal(signal.SIGINT)
        return False

    monkeypatch.setattr(Child, "is_over", interrupted)
    source = faulty.source("exec sleep 600", timeout_s=30.0, budget=Budget(0.02))
    faulty.stop.set()
    with stopped_by_signals(faulty.stop), pytest.raises(SystemExit) as ended:
        source.look(last=True)
    assert ended.value.code == 130
    assert not is_running(under_way[0])
