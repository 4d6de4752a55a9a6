"""The live view, drawn on a terminal of paper."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.style import Style

from leakscope.policy import Trend
from leakscope.renderers.sparkline import ASCII_BLOCKS, sparkline
from leakscope.renderers.terminal import THEME, LiveView, colored, console_for, report_view
from leakscope.renderers.text import dump_lines, report_lines
from leakscope.report import Member, Overall
from tests.builders import (
    HOSTILE,
    LOOPS,
    POOL,
    WATCH,
    frame,
    getting,
    group,
    hostile_report,
    leak,
    nothing,
    points,
    report,
    started,
    target,
)


def drawn(made, *, width=80, height=24, unicode=True):
    out = StringIO()
    console = Console(file=out, width=width, height=height, color_system=None, force_terminal=False)
    console.print(report_view(made, width=width, height=height, unicode=unicode))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def many(number):
    return [group(99 - i % 50, started(frame(f"f{i}"))) for i in range(number)]


GROWN = group(
    187,
    getting(),
    Trend.LEAKING,
    id="3f9c1a2b77e0",
    first=1,
    points=points(1, 20, 60, 187, interval_s=15),
)
GROWING = report(
    GROWN, POOL, LOOPS, leaks=(leak(GROWN),), total_points=points(10, 30, 90, 198, interval_s=15)
)


def test_whole_view():
    assert drawn(GROWING) == [
        "pid 4711, Python 3.11.7, up 61 min: python app.py",
        "LEAKING  198 threads ▁▁▁▁▁▂▂▂▂▂▄▄▄▄▄█████  60 s, 60 samples, 0 missed",
        "",
        "187 threads leak, 61.0 more a minute, in app/jobs.py:41 consume [queue.get]",
        "",
        "count change verdict   over time    state              where",
        "  187   +186 leaking   ▁▁▁▂▂▂▃▃▃███ queue.get          app/jobs.py:41 consume",
        "    8     +7 warming   ▁▁▁▁▁▁▁▁▁▁▁▁ executor idle      thread.py:81 _worker",
        "    3      0 steady    ▁▁▁▁▁▁▁▁▁▁▁▁ blocked, 2 running app/loops.py:7 spin",
    ]


def test_several_processes_have_a_line():
    several = tuple(
        Member(target(pid=pid), threads, threads, verdict, ended_s)
        for pid, threads, verdict, ended_s in (
            (4711, 1, Overall.CLEAN, None),
            (4712, 187, Overall.LEAKING, None),
            (4713, None, Overall.CLEAN, 30.0),
        )
    )
    targets = tuple(member.target for member in several)
    lines = drawn(replace(GROWING, targets=targets, several=several))
    assert lines[0] == "pid 4711, Python 3.11.7, up 61 min: python app.py (and 2 more)"
    assert lines[1] == "threads by process: 4712: 187 leaking, 4711: 1"


def test_without_unicode_all_is_ascii():
    hostile = hostile_report("工作 é " + HOSTILE)
    assert all(line.isascii() for line in drawn(hostile, unicode=False))
    assert "_____.....:::::#####" in drawn(GROWING, unicode=False)[1]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 23), (120, 50), (40, 10), (200, 8)])
@pytest.mark.parametrize("leaks", [0, 1, 30])
@pytest.mark.parametrize("groups", [0, 3, 18, 19, 20, 200])
def test_fits_the_terminal(width, height, leaks, groups):
    made = many(groups)
    lines = drawn(report(*made, leaks=(leak(GROWN),) * leaks), width=width, height=height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    rows = sum(" steady " in line for line in lines)
    if rows < groups:
        more = groups - rows
        assert lines[-1] == f"and {more} more group{'s' * (more > 1)}"


@pytest.mark.parametrize("height", range(6))
@pytest.mark.parametrize("width", [1, 5, 20])
def test_a_tiny_terminal_does_not_crash_it(width, height):
    assert len(drawn(WATCH, width=width, height=height)) <= max(height, 1)


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("overall", Overall)
def test_an_empty_report_can_be_drawn(overall, unicode):
    assert drawn(nothing(verdict=overall), unicode=unicode)
    assert drawn(report(verdict=overall), unicode=unicode)


def test_hostile_names_are_harmless():
    lines = drawn(hostile_report(HOSTILE), width=200)
    assert any(r"\x1b[31m[red]\n\u202eevil\ud800" in line for line in lines)
    assert all(line.isprintable() for line in lines)


@given(st.text(st.characters(exclude_categories=())))
def test_no_text_of_the_target_breaks_the_view(text):
    lines = drawn(hostile_report(text))
    assert len(lines) <= 8
    assert all(char.isprintable() or char.isspace() for line in lines for char in line)


def test_a_long_path_loses_its_folder_before_its_function():
    long = frame("refresh_all", "/srv/session_manager_service/tasks.py", 1041)
    row = drawn(report(group(3, started(long))), width=72)[-1]
    assert row.endswith(" tasks.py:1041 refresh_all")


def test_the_live_view_leaves_nothing_behind():
    out = StringIO()
    console = Console(file=out, width=80, height=24, force_terminal=True, color_system=None)
    with LiveView(console) as view:
        view.update(WATCH)
        assert "187 threads leak" in out.getvalue()
        view.update(nothing())
    shows_cursor, erases_both_lines = "\x1b[?25h", "\r" + "\x1b[1A\x1b[2K" * 2
    assert out.getvalue().endswith(shows_cursor + erases_both_lines)


def test_every_verdict_has_a_style():
    for word in (*Trend, *Overall):
        Style.parse(THEME[word])


def test_no_colour_is_lost_on_a_light_ground_or_a_dark_one():
    for style in THEME.values():
        assert not {"white", "black", "yellow", "bright_white"} & set(style.split())


def test_without_colour_there_is_none(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert console_for(color=False).no_color
    assert not console_for(color=True).no_color


def test_colour_changes_no_text():
    plain = [*report_lines(WATCH), *dump_lines(WATCH)]
    shown = list(colored(plain))
    assert shown[0] == f"\x1b[1;31m{plain[0]}\x1b[0m"
    assert "\x1b[2m  #   Queue.get                 /usr/lib/python3.11/queue.py:171\x1b[0m" in shown
    assert "\x1b[1m  #   consume                   /srv/app/jobs.py:41\x1b[0m" in shown
    for before, after in zip(plain, shown, strict=True):
        assert before in after


# --- sparkline ------------------------------------------------------------------------------------


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
