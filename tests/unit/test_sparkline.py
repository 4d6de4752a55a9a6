"""Sizes over time in one line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from leakscope.renderers.sparkline import ASCII_BLOCKS, sparkline
from tests.builders import points


def test_sparkline_shows_a_rise():
    rise = points(0, 10, 20, 30, 40, 50, 60, 70)
    assert sparkline(rise, 8.0, 0.0, 8, blocks=ASCII_BLOCKS) == " .-:=+*#"


def test_sparkline_of_a_constant_is_flat():
    assert sparkline(points(7), 60.0, 0.0, 5) == "▁▁▁▁▁"


def test_sparkline_of_a_small_wobble_is_no_mountain():
    assert set(sparkline(points(100, 101, 100, 101), 4.0, 0.0, 8)) == {"▁"}


def test_sparkline_keeps_a_short_spike():
    assert sparkline(points(1, 99, 1, interval_s=0.1), 60.0, 0.0, 4) == "█▁▁▁"


def test_sparkline_is_blank_before_the_first_thread():
    assert sparkline(points(0, 8, interval_s=30), 60.0, 0.0, 6) == "   ███"


def test_sparkline_of_one_look():
    assert sparkline(points(5), 0.0, 0.0, 4) == "   ▁"
    assert sparkline((), 0.0, 0.0, 4) == "    "


@given(
    st.lists(st.integers(0, 10_000), max_size=50),
    st.floats(0, 1e6),
    st.floats(0, 1e3),
    st.integers(0, 60),
)
def test_sparkline_always_has_its_width(sizes, watched_s, began_s, width):
    drawn_line = sparkline(points(*sizes), began_s + watched_s, began_s, width)
    assert len(drawn_line) == width
