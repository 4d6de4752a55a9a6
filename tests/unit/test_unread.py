"""Growth of threads whose stacks cannot be read."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from leakscope.policy import DEFAULT_POLICY, Trend
from leakscope.rules.unread import unread
from leakscope.stacks import Level


def test_a_burst_before_the_watch_does_not_tell_the_rate():
    births = [*(-20 + number / 1000 for number in range(4200)), *range(1, 41)]
    stays = tuple(SimpleNamespace(began_s=birth) for birth in births)
    facts = SimpleNamespace(frames=(), level=Level.FUNCTION, stays=stays, now_s=41.0)
    verdict = unread(facts, DEFAULT_POLICY)  # type: ignore[arg-type]  # as far as the rule looks
    assert verdict is not None
    assert verdict.trend is Trend.GROWING
    assert verdict.rate_per_min == pytest.approx(60, rel=0.1)
    assert "60.0 a minute of late" in verdict.evidence[0]
