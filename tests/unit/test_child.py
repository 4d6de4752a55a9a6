"""A program's answer: whole, or an end to it."""

from __future__ import annotations

import os
import sys

import pytest

from leakscope.sources import child
from leakscope.sources.child import Child, TooMuch


def started(code: str) -> Child:
    return Child([sys.executable, "-c", code], os.environ)


def answer(code: str) -> tuple[int, bytes, bytes]:
    program = started(code)
    assert program.is_over(30.0)
    program.end()
    return program.answer()


def test_what_it_says_on_both_streams():
    code = "import sys; print('x' * 300_000); print('y' * 200_000, file=sys.stderr); sys.exit(3)"
    assert answer(code) == (3, b"x" * 300_000 + b"\n", b"y" * 200_000 + b"\n")


def test_nothing():
    assert answer("") == (0, b"", b"")


@pytest.mark.parametrize("code", ["import time; time.sleep(60)", "while True: print(flush=True)"])
def test_one_that_takes_too_long_is_not_waited_for_and_can_be_ended(code):
    program = started(code)
    assert not program.is_over(0.3)
    program.end()
    assert program.answer()[0] == -9


def test_one_that_closes_its_streams_and_goes_on_is_killed(monkeypatch):
    monkeypatch.setattr(child, "_LINGER_S", 0.2)
    program = started("import os, time; os.close(1); os.close(2); time.sleep(60)")
    assert program.is_over(30.0)
    program.end()
    assert program.answer()[0] == -9


def test_one_that_says_too_much(monkeypatch):
    monkeypatch.setattr(child, "MAX_ANSWER", 1024 * 1024)
    program = started("while True: print('x' * 1000)")
    with pytest.raises(TooMuch, match="more than 1 MiB"):
        program.is_over(30.0)
    program.end()


def test_what_it_took_is_told():
    program = started("sum(range(10_000_000))")
    assert program.is_over(30.0)
    assert program.end() > 0.01


def test_one_that_is_not_there():
    with pytest.raises(OSError, match="No such file"):
        Child(["/nowhere/at/all"], {})
