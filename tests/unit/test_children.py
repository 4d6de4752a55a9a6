"""A program's answer: whole, or an end to it."""

from __future__ import annotations

import os
import sys
import time

import pytest

from leakscope.sources import children
from leakscope.sources.children import TooMuch, run


def python(code: str, timeout_s: float = 30.0) -> tuple[int, bytes, bytes]:
    return run([sys.executable, "-c", code], os.environ, timeout_s)


def test_what_it_says_on_both_streams():
    code = "import sys; print('x' * 300_000); print('y' * 200_000, file=sys.stderr); sys.exit(3)"
    assert python(code) == (3, b"x" * 300_000 + b"\n", b"y" * 200_000 + b"\n")


def test_nothing():
    assert python("") == (0, b"", b"")


@pytest.mark.parametrize("code", ["import time; time.sleep(60)", "while True: print(flush=True)"])
def test_one_that_takes_too_long_is_killed(code):
    began_s = time.monotonic()
    with pytest.raises(TimeoutError):
        python(code, 0.3)
    assert time.monotonic() - began_s < 20


def test_one_that_closes_its_streams_and_goes_on_is_killed():
    with pytest.raises(TimeoutError):
        python("import os, time; os.close(1); os.close(2); time.sleep(60)", 0.5)


def test_one_that_says_too_much_is_killed(monkeypatch):
    monkeypatch.setattr(children, "MAX_ANSWER", 1024 * 1024)
    with pytest.raises(TooMuch, match="more than 1 MiB"):
        python("while True: print('x' * 1000)")


def test_one_that_is_not_there():
    with pytest.raises(OSError, match="No such file"):
        run(["/nowhere/at/all"], {}, 1.0)
