"""A program that is run for its answer: whatever it does, it is not waited for, nor left behind."""

from __future__ import annotations

import errno
import os
import signal
import sys

import pytest

from leakscope.sources import child as module
from leakscope.sources.child import Child, TooMuch
from leakscope.sources.stopping import Stop, stopped_by_signals

LONG_S = 30.0
FOR_EVER = "import signal; signal.pause()"


def python(code: str) -> Child:
    """A program under way."""
    return Child([sys.executable, "-I", "-S", "-c", code], {})


def is_gone(pid: int) -> bool:
    """Whether there is no such process, not even one that nobody has waited for."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.ESRCH
    return False


def test_what_it_says_is_read_whole():
    child = python("import sys; print('x' * 300_000, end=''); print('oh', file=sys.stderr)")
    assert child.is_over(LONG_S)
    assert child.end() > 0
    assert child.answer() == (0, b"x" * 300_000, b"oh\n")


def test_its_status_is_told():
    child = python("raise SystemExit(3)")
    assert child.is_over(LONG_S)
    child.end()
    assert child.answer() == (3, b"", b"")


def test_its_cpu_time_is_its_own():
    child = python("import time\nwhile time.process_time() < 0.1: pass")
    assert child.is_over(LONG_S)
    assert 0.1 <= child.end() < 1.0


def test_it_cannot_be_started():
    with pytest.raises(OSError, match="No such file"):
        Child(["/no/such/program"], {})


def test_one_that_goes_on_is_not_waited_for():
    child = python(FOR_EVER)
    assert not child.is_over(0.0)
    assert not child.is_over(0.01)
    child.end()
    assert child.answer()[0] == -signal.SIGKILL
    assert is_gone(child.pid)


def test_what_it_said_before_it_was_ended_is_kept():
    child = python(f"print('begun', flush=True); {FOR_EVER}")
    while b"begun" not in bytes(next(iter(child._said.values()))):
        child.is_over(0.01)
    child.end()
    assert child.answer()[1] == b"begun\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_one_that_says_too_much_is_refused(stream, monkeypatch):
    monkeypatch.setattr(module, "MAX_ANSWER", 1 << 20)
    child = python(f"import sys\nwhile True: sys.{stream}.write('x' * 65536)")
    with pytest.raises(TooMuch, match="more than 1 MiB"):
        child.is_over(LONG_S)
    child.end()
    assert is_gone(child.pid)


def test_one_that_closes_its_answer_and_goes_on_is_not_over():
    """What it may still have to complain about is waited for, as long as one is willing to."""
    child = python(f"import os; os.write(1, b'all'); os.close(1); {FOR_EVER}")
    while len(child._selector.get_map()) > 1:
        assert not child.is_over(0.01)
    child.end()
    assert child.answer() == (-signal.SIGKILL, b"all", b"")


def test_one_that_closes_all_and_goes_on_is_ended(monkeypatch):
    monkeypatch.setattr(module, "_END_S", 0.01)
    child = python(f"import os; os.close(1); os.close(2); {FOR_EVER}")
    assert child.is_over(LONG_S)
    child.end()
    assert child.answer()[0] == -signal.SIGKILL
    assert is_gone(child.pid)


def test_a_first_ctrl_c_does_not_interrupt_it():
    stop = Stop()
    interrupt = f"import os, signal; os.kill({os.getpid()}, signal.SIGINT); print('done')"
    with stopped_by_signals(stop):
        child = python(interrupt)
        assert child.is_over(LONG_S)
        child.end()
    assert stop.signalled
    assert child.answer()[:2] == (0, b"done\n")
    stop.close()


def test_a_ctrl_c_at_the_terminal_is_not_for_it():
    child = python(FOR_EVER)
    assert os.getpgid(child.pid) == child.pid != os.getpgrp()
    child.end()


def test_the_time_of_a_child_is_its_own_when_two_run_at_once():
    busy = python("import time\nwhile time.process_time() < 0.4: pass")
    idle = python("")
    assert busy.is_over(LONG_S)
    assert idle.is_over(LONG_S)
    assert busy.end() >= 0.4
    assert idle.end() < 0.4
