"""The live view: what is drawn, and what a key changes."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from leakscope.facts import Point
from leakscope.keys import Key
from leakscope.leaks import Cause, Culprit
from leakscope.limits import Deadline, Limit
from leakscope.policy import Trend, Verdict
from leakscope.renderers.live.pressing import pressed
from leakscope.renderers.live.state import Order, Page, Setting, ViewState, Wish
from leakscope.renderers.live.view import view
from leakscope.report import Cost, Member, Overall
from tests.builders import (
    HOSTILE,
    LIB,
    LOOPS,
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
    stay,
    stays,
    target,
)
from tests.goldens import assert_golden

SETTING = Setting(duration_s=300.0)
SIZES = [(80, 24), (120, 40), (200, 60)]


def drawn(made, state=None, *, width=80, height=24, setting=SETTING, color=False):
    out = StringIO()
    state = replace(state or ViewState(), width=width, height=height)
    console = Console(
        file=out,
        width=width,
        height=height,
        color_system="standard" if color else None,
        force_terminal=color,
        legacy_windows=False,
    )
    console.print(view(made, state, setting))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def born(size, *, each_s, until_s, **fields):
    """Threads that were born one by one, the last at this moment."""
    return [
        stay(n, began_s=until_s - n * each_s, born_s=until_s - n * each_s, **fields)
        for n in range(size)
    ]


LEAKING = group(
    members=born(187, each_s=2.0, until_s=59.0),
    frames=getting(),
    trend=Trend.LEAKING,
    id="3f9c1a2b77e0",
    first=157,
    points=points(157, 167, 177, 187, interval_s=15),
)
POOL = group(
    frames=started(frame("_worker", f"{LIB}/concurrent/futures/thread.py", 81)),
    members=[s._replace(name="pool-0") for s in stays(8, first=500, wait="executor idle")],
    trend=Trend.WARMING,
    first=1,
)
THE_LEAK = leak(
    LEAKING,
    rate_per_min=30.0,
    evidence=(
        "187 threads came here over 6 min, 30.0 a minute, and are still here.",
        "Not one thread of this stack has ended.",
    ),
    cause=Cause(
        "producer-gone",
        False,
        "It looks like a consumer whose producer has gone: it waits in `get` for an item that "
        "never comes.",
        "Put a sentinel per consumer when the producer ends (`queue.put(None)`; from 3.13 on "
        "`queue.shutdown()`), or loop over `queue.get(timeout=1)` and a stop flag.",
    ),
)
LIMIT = Limit("pids.max 2048 (cgroup /pod1)", 410, 2048, 1.0)
COST = Cost(0.9, 13, 0, 61, 0.0, 0.5)
LEAKS = report(
    LEAKING,
    POOL,
    LOOPS,
    leaks=(THE_LEAK,),
    targets=(target(began_s=-600.0),),
    total_points=points(168, 178, 188, 198, interval_s=15),
    deadline=Deadline(LIMIT, 3276.0, 2900.0, 3700.0),
    cost=COST,
    not_seen=("native threads: 2 besides Python's; what they do is not looked at",),
)
CLEAN = report(
    POOL, LOOPS, total_points=points(11, 11), nearest_limit=LIMIT, cost=COST, missed=2, samples=58
)


def many(number):
    return [group(99 - i % 50, started(frame(f"f{i}"))) for i in range(number)]


MANY = report(*many(500), nearest_limit=LIMIT, cost=COST)
REPORTS = {"leaking": LEAKS, "clean": CLEAN, "500-groups": MANY}


# --- what is drawn --------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("name", REPORTS)
def test_overview(name, width, height):
    lines = drawn(REPORTS[name], width=width, height=height)
    assert len(lines) == height
    assert_golden(f"live/{name}-{width}x{height}.txt", lines)


@pytest.mark.parametrize("page", [Page.DETAIL, Page.HELP])
def test_other_pages(page):
    assert_golden(f"live/{page}-80x40.txt", drawn(LEAKS, ViewState(page=page), height=40))


def test_without_unicode_all_is_ascii():
    lines = drawn(LEAKS, setting=SETTING._replace(unicode=False))
    assert all(line.isascii() for line in lines)
    assert_golden("live/leaking-ascii-80x24.txt", lines)
    hostile = hostile_report("工作 é " + HOSTILE)
    for page in Page:
        lines = drawn(hostile, ViewState(page=page), setting=Setting(unicode=False))
        assert all(line.isascii() for line in lines)


def test_colour_adds_nothing_that_words_do_not_say():
    in_color = "\n".join(drawn(LEAKS, color=True))
    assert "\x1b[1;31mLEAKING" in in_color
    assert "\x1b[31mLEAK 1" in in_color
    plain = drawn(LEAKS)
    assert any(line.startswith("> ") for line in plain), "the selected row"


def test_the_selected_row_stands_out_without_a_change_to_what_is_drawn():
    row = next(line for line in drawn(LEAKS, color=True) if line.startswith("\x1b[1m>"))
    assert "\x1b[7m" not in row
    assert "\x1b[36m▁▁▁▃▃▃▅▅▅▇▇▇" in row, "as in any other row"


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("page", Page)
@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("width", [15, 40, 80])
def test_the_keys_that_end_and_help_are_always_told(width, order, page, unicode):
    state = ViewState(page=page, order=order, frozen=LEAKS)
    last = drawn(LEAKS, state, width=width, setting=SETTING._replace(unicode=unicode))[-1]
    assert last.startswith("q end  ? ")
    assert not last.endswith(("…", "..")), "a key that does not fit is left out whole"


@pytest.mark.parametrize("leaks", [1, 2])
def test_on_a_small_terminal_a_leak_comes_before_the_table(leaks):
    lines = drawn(replace(LEAKS, leaks=(THE_LEAK,) * leaks), width=40, height=12)
    told = [line for line in lines if line.startswith("LEAK ")]
    assert len(told) == leaks
    assert any(line.startswith("> ") for line in lines)


def test_a_person_who_never_saw_it_can_tell_all_from_the_first_screen():
    screen = " ".join(" ".join(drawn(LEAKS)).split())
    assert "LEAKING: 1 leak, 30.0 threads a minute" in screen  # what, and how fast
    assert "187 threads, 30.0 more a minute, for 6 min now" in screen
    assert "where app/jobs.py:41 consume [queue.get]" in screen
    assert "why It looks like a consumer whose producer has gone" in screen
    assert "cure Put a sentinel per consumer when the producer ends" in screen
    assert "full in 55 min: pids.max 2048 (cgroup /pod1)" in screen


def test_a_known_culprit_stands_in_the_place_of_the_cause():
    culprit = Culprit("paho-mqtt", "the loop of a client", "Call `loop_stop()`.", "eclipse/x#1")
    lines = drawn(replace(LEAKS, leaks=(replace(THE_LEAK, culprit=culprit),)))
    assert "  known  paho-mqtt: the loop of a client (eclipse/x#1)" in lines
    assert "  cure   Call `loop_stop()`." in lines


def test_a_leak_without_a_cause_is_told_with_its_evidence():
    lines = drawn(replace(LEAKS, leaks=(replace(THE_LEAK, cause=None),)))
    assert "  why    Not one thread of this stack has ended." in lines


def test_growth_is_told_with_why_and_when_more_is_known():
    verdict = Verdict(Trend.GROWING, ("1 thread at first, 19 now.",))
    growing = group(19, getting(), verdict=verdict, first=1)
    made = report(growing, verdict=Overall.GROWING, observed_s=11.0, now_s=11.0)
    lines = drawn(made)
    assert lines[1] == "growing: 1 group grows; a leak can be named in 19 s"
    assert "growing  19 threads  app/jobs.py:41 consume  [queue.get]" in lines
    assert "  why    1 thread at first, 19 now." in lines


def test_births_show_how_it_grew_before_the_watch():
    line = drawn(LEAKS)[2]
    assert line.startswith("threads  198 now  10 min before ")
    before, seen = line.split("before ")[1].split("│")
    assert before.strip()[0] < seen[0], "it grew before the watch"


def test_without_births_only_what_was_seen_is_shown():
    assert drawn(WATCH)[2].startswith("threads  198 now  ▁")


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
    lines = drawn(replace(LEAKS, targets=targets, several=several))
    assert lines[0] == "pid 4711, Python 3.11.7, up 61 min: python app.py (and 2 more)"
    assert lines[1] == "threads by process: 4712: 187 leaking, 4711: 1"


@pytest.mark.parametrize(("width", "height"), [(80, 24), (80, 23), (120, 50), (40, 10), (200, 8)])
@pytest.mark.parametrize("leaks", [0, 1, 30])
@pytest.mark.parametrize("groups", [0, 3, 18, 19, 20, 200])
def test_fits_the_terminal(width, height, leaks, groups):
    made = report(*many(groups), leaks=(THE_LEAK,) * leaks)
    lines = drawn(made, width=width, height=height)
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    rows = sum(" steady " in line for line in lines)
    if height >= 23 and groups:
        assert rows >= min(groups, 5)
    if 0 < rows < groups:
        assert any(f"1-{rows} of {groups}" in line for line in lines) or width < 80


@pytest.mark.parametrize("page", Page)
@pytest.mark.parametrize("height", range(1, 6))
@pytest.mark.parametrize("width", [1, 5, 20])
def test_a_tiny_terminal_does_not_crash_it(width, height, page):
    assert len(drawn(LEAKS, ViewState(page=page), width=width, height=height)) == height


@pytest.mark.parametrize("page", Page)
@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("overall", Overall)
def test_an_empty_report_can_be_drawn(overall, unicode, page):
    setting = Setting(unicode=unicode)
    assert drawn(nothing(verdict=overall), ViewState(page=page), setting=setting)
    assert drawn(report(verdict=overall), ViewState(page=page), setting=setting)


def test_hostile_names_are_harmless():
    lines = drawn(hostile_report(HOSTILE), width=200)
    assert any(r"\x1b[31m[red]\n\u202eevil\ud800" in line for line in lines)
    assert all(line.isprintable() for line in lines)


@given(st.text(st.characters(exclude_categories=())), st.sampled_from(Page))
def test_no_text_of_the_target_breaks_the_view(text, page):
    lines = drawn(hostile_report(text), ViewState(page=page))
    assert len(lines) == 24
    assert all(char.isprintable() or char.isspace() for line in lines for char in line)


def test_a_long_path_loses_its_folder_before_its_function():
    long = frame("refresh_all", "/srv/session_manager_service/tasks.py", 1041)
    lines = drawn(report(group(3, started(long))), width=76)
    assert any(line.endswith(" tasks.py:1041 refresh_all") for line in lines)


def test_a_path_too_long_for_a_stack_keeps_its_end():
    deep = frame("f", "/srv/" + "very/" * 30 + "deep.py", 7)
    lines = drawn(report(group(3, started(deep))), ViewState(page=Page.DETAIL))
    assert any(line.endswith("/very/deep.py:7") and len(line) == 80 for line in lines)


def test_progress_of_a_watch_that_ends_by_count():
    line = drawn(CLEAN, setting=Setting(samples=120))[4]
    assert line.startswith("watch    ████")
    assert "58 of 120 samples, 2 missed" in line


def test_where_no_keys_can_be_pressed_none_are_offered():
    last = drawn(CLEAN, setting=Setting(has_keys=False))[-1]
    assert last == "Ctrl-C ends the watch and prints its report"


def test_each_point_of_the_sparkline_keeps_to_its_part():
    odd = replace(LEAKS, total_points=(Point(0.0, 5), Point(60.0, 198)))
    assert "│" in drawn(odd)[2]


# --- what keys do ---------------------------------------------------------------------------------


def after(*keys, made=MANY, state=None):
    state = state or ViewState()
    for key in keys:
        state = pressed(state, key, made, SETTING)
    return state


def row_of(state, made=MANY):
    """What stands in the selected row."""
    return next(line for line in drawn(made, state) if line.startswith(">")).split()[-1]


def test_moving():
    first, second = row_of(ViewState()), row_of(after(Key.DOWN))
    assert first != second
    assert row_of(after("j")) == second
    assert row_of(after("j", "j", "k")) == second
    assert row_of(after(Key.UP)) == first
    assert row_of(after(Key.PAGE_DOWN)) == row_of(after(*12 * ["j"]))
    assert row_of(after(Key.END)) == row_of(after(*600 * ["j"]))
    assert row_of(after(Key.END, Key.HOME)) == first


def test_the_selection_stays_on_its_group_while_the_table_changes():
    state = after("j", "j", "j")
    chosen = row_of(state)
    more = report(*(replace(g, id=g.id) for g in reversed(MANY.groups)), *many(0))
    assert row_of(state, more) == chosen
    grown = group(500, started(frame("new")), Trend.GROWING)
    assert row_of(state, report(grown, *MANY.groups)) == chosen


def test_a_selected_group_that_has_gone_leaves_the_row_selected():
    state = after("j", "j", "j")
    left = report(*(g for g in MANY.groups if g.id != state.selected))
    assert row_of(state, left) == row_of(after("j", "j", "j", "j"))


def test_detail_and_back():
    state = after("j", Key.ENTER)
    assert state.page is Page.DETAIL
    assert any("stack of" in line for line in drawn(MANY, state))
    assert after(Key.ESCAPE, state=state).page is Page.OVERVIEW


def test_detail_has_all_that_is_known():
    text = "\n".join(drawn(LEAKS, after(Key.ENTER, made=LEAKS), height=60))
    for part in ("Not one thread of this stack", "cure", "Thread.run", "Thread-1 (consume)", "old"):
        assert part in text


def test_detail_of_a_group_that_has_gone_says_so():
    assert drawn(CLEAN, after(Key.ENTER, made=LEAKS))[0] == "This group is not there any more."


def test_a_page_scrolls_to_its_end_and_not_beyond():
    at_end = after(Key.ENTER, Key.END, made=LEAKS)
    assert at_end.scroll > 0
    assert after(*9 * [Key.DOWN], made=LEAKS, state=at_end).scroll == at_end.scroll
    assert after(Key.UP, made=LEAKS, state=at_end).scroll == at_end.scroll - 1
    assert after(*99 * [Key.PAGE_UP], made=LEAKS, state=at_end).scroll == 0


def test_order_goes_round():
    assert [after(*n * ["s"]).order for n in range(5)] == [*Order, Order.SUSPICION]
    heading = next(line for line in drawn(MANY, after("s")) if "verdict" in line)
    assert heading.endswith("by count)")


def test_filter():
    typing = after("f", *"F49")
    assert typing.is_typing
    assert drawn(MANY, typing)[-1].startswith("filter: F49_")
    kept = after(Key.ENTER, state=typing)
    assert not kept.is_typing
    rows = [line for line in drawn(MANY, kept) if " steady " in line]
    assert len(rows) == 11  # f49 and f490 to f499
    assert after(Key.ESCAPE, state=kept).filter == ""
    assert after(Key.ESCAPE, state=typing) == replace(ViewState(), row=0)
    assert after(Key.BACKSPACE, state=typing).filter == "F4"
    assert after("q", state=typing).wish is None, "a letter while it is typed"


def test_a_filter_that_nothing_matches_shows_nothing():
    state = after("f", *"xyz", Key.ENTER, "j", Key.ENTER)
    assert state.page is Page.OVERVIEW
    assert not any(line.startswith(">") for line in drawn(MANY, state))


def test_pause_holds_the_view_and_not_the_watch():
    state = after("p", made=LEAKS)
    later = replace(CLEAN, now_s=90.0, observed_s=90.0, samples=90)
    lines = drawn(later, state)
    assert lines[1].startswith("LEAKING")
    assert "paused   this is how it was 30 s ago; the watch goes on, p shows the latest" in lines
    assert any("90 samples" in line for line in lines)
    assert drawn(later, after("p", made=later, state=state)) == drawn(later)


@pytest.mark.parametrize(
    ("key", "wish"), [("q", Wish.QUIT), ("w", Wish.WRITE), (Key.REDRAW, Wish.REDRAW)]
)
@pytest.mark.parametrize("page", Page)
def test_wishes(key, wish, page):
    state = after(key, state=ViewState(page=page))
    assert (state.wish, state.page) == (wish, page)
    assert after("j", state=state).wish is None


def test_help_goes_back_to_where_it_was_called():
    detail = after("j", Key.ENTER)
    for back in (Key.ESCAPE, "?"):
        state = after("?", back, state=detail)
        assert (state.page, state.selected) == (Page.DETAIL, detail.selected)


@settings(max_examples=30)  # each draws many screens
@given(st.lists(st.sampled_from([*Key, *"jksfpw?qx"])))
def test_no_keys_break_it(keys):
    state = ViewState()
    for key in keys:
        state = pressed(state, key, LEAKS, SETTING)
        assert len(drawn(LEAKS, state)) == 24
