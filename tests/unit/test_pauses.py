"""What a blocking dump is said to cost."""

from __future__ import annotations

import pytest

from leakscope.pauses import pause_s


@pytest.mark.parametrize(
    ("threads", "python", "expected_s"),
    [
        (1000, "3.11.7", 0.2),
        (1000, "3.10.13", 0.33),
        (1000, "3.8", 0.33),
        (1000, "4.0", 0.2),
        (1000, None, 0.2),
        (1000, "3", 0.2),
        (1000, "3.x", 0.2),
        (1, "3.11.7", 0.004),  # it stops and starts the process whatever there is to read
    ],
)
def test_a_pause_grows_with_the_threads(threads, python, expected_s):
    assert pause_s(threads, python) == pytest.approx(expected_s)
