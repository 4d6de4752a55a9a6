"""What is said of descendants that Yama hides, though leakscope started what they descend from."""

from __future__ import annotations

import pytest

from leakscope.sources import advice


@pytest.mark.parametrize(
    ("scope", "may_trace", "is_told"),
    [(1, False, True), (1, True, False), (0, False, False), (None, False, False)],
)
def test_that_yama_hides_them_is_told_where_it_does(monkeypatch, scope, may_trace, is_told):
    monkeypatch.setattr(advice, "yama_scope", lambda: scope)
    monkeypatch.setattr(advice, "has_ptrace_right", lambda: may_trace)
    said = advice.of_descendants(4711)
    assert bool(said) is is_told
    assert all("process 4711 " in line and "ptrace_scope" in line for line in said)
