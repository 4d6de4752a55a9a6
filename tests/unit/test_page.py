"""What is on the page, and what its charts are drawn from; tests/integration has the browser."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leakscope.diffing import Look, Stack, difference
from leakscope.errors import UsageProblem
from leakscope.facts import Point
from leakscope.limits import Deadline, Limit
from leakscope.model import Frame
from leakscope.policy import Trend
from leakscope.renderers.page import drawing
from leakscope.renderers.page.curves import (
    GROWING,
    MOST_OF_LEAKS,
    MOST_OTHERS,
    band_sizes,
    bands_of,
    leak_curve,
    scale_of,
    total_curve,
)
from leakscope.renderers.page.diff_page import diff_page
from leakscope.renderers.page.report_page import fit_of, report_page, way_of
from leakscope.renderers.page.timescale import TimeScale, ahead_ticks, count_step, span, step
from leakscope.renderers.page.tree import MOST_CHILDREN, MOST_NODES, Held, merged, nodes
from leakscope.report import Overall, Report
from leakscope.stacks import Level
from tests.builders import (
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
)
from tests.hostile import EVIL, HOSTILE, harmful
from tests.running import leakscope_cli
from tests.samples import every, lives, pool, watched

# As much as a page may take that is sent around.
MOST_BYTES = 1_000_000

STEADY_LEAK = watched(
    [*pool(30), *lives(every(1.5, begin_s=-300, end_s=60), first=100)], until_s=60
).report


class Elements(HTMLParser):
    """All elements of a page with the names of their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs)))


# --- the time axis --------------------------------------------------------------------------------


def test_a_short_past_has_the_scale_of_the_watch():
    scale = TimeScale(-20, 0, 80)
    assert [scale.x(at) for at in (-20, 0, 40, 80)] == pytest.approx([0, 0.2, 0.6, 1])
    assert scale.squeeze == pytest.approx(1)


def test_a_long_past_leaves_half_for_the_watch():
    assert TimeScale(-79, 0, 21).squeeze == pytest.approx(1)
    scale = TimeScale(-86400, 0, 60)
    assert scale.x(0) == pytest.approx(0.5)
    assert scale.squeeze == pytest.approx(1440)


def test_one_look_has_all_the_past():
    scale = TimeScale(-60, 0, 0)
    assert scale.x(0) == 1
    before, seen = scale.moments(10)
    assert (before[0], before[-1]) == (-60, 0)
    assert seen == []


@given(
    past=st.floats(0, 1e7),
    seen=st.floats(0, 1e7),
    most=st.sampled_from((0.5, 0.9)),
)
def test_labels_are_few_in_order_and_on_the_axis(past, seen, most):
    scale = TimeScale(-past, 0, seen, most)
    places = [tick.x for tick in scale.ticks()]
    assert places == sorted(places)
    assert all(-1e-6 <= x <= 1 + 1e-6 for x in places)
    assert len(places) <= 12


@pytest.mark.parametrize(
    ("whole", "expected"),
    [(45, 10), (60, 10), (3600, 600), (86400 * 3, 43200), (86400 * 30, 432000)],
)
def test_labels_stand_at_times_that_people_count_in(whole, expected):
    assert step(whole, 6) == expected


def test_labels_say_their_unit():
    assert [span(at) for at in (30, 90, 5400, 172800)] == ["30 s", "1.5 min", "1.5 h", "2 d"]
    assert [tick.label for tick in ahead_ticks(7200)] == ["now", *(
        f"+{label}" for label in ("20 min", "40 min", "1 h", "80 min", "100 min", "2 h")
    )]  # fmt: skip
    assert count_step(179, 5) == 50


# --- the curves -----------------------------------------------------------------------------------


def test_bands_add_up_to_all_threads():
    bands, total = bands_of(STEADY_LEAK), total_curve(STEADY_LEAK)
    for at in (-200, -1, 0, 30, 60):
        assert sum(band_sizes(bands, total, at, 0)) == total.at(at, 0)
    assert sum(band_sizes(bands, total, 60, 0)) == STEADY_LEAK.threads


def test_the_past_is_from_births_and_the_watch_from_what_was_seen():
    curve = leak_curve(STEADY_LEAK.leaks[0], STEADY_LEAK)
    assert curve.at(-150, 0) == 101  # one each 1.5 s since -300
    assert curve.at(0, 0) == 201
    assert curve.at(60, 0) == len(STEADY_LEAK.leaks[0].leaked)
    assert curve.before(0) == 201
    assert scale_of(STEADY_LEAK).begin_s == pytest.approx(-3600)


def test_timers_that_rearm_are_counted_by_their_groups():
    timers = group(9, ended=40, points=points(1, 4, 9))
    found = report(timers, leaks=(leak(timers),), now_s=60.0)
    assert leak_curve(found.leaks[0], found).at(1, 0) == 4


def test_the_line_has_the_rate_and_goes_through_what_was_seen():
    (only,) = STEADY_LEAK.leaks
    fit = fit_of(leak_curve(only, STEADY_LEAK), only, 0)
    assert fit is not None
    assert fit.per_s == pytest.approx(only.rate_per_min / 60)
    for at in (10, 55):
        assert fit.count_at(at) == pytest.approx(201 + at / 1.5, abs=1.5)


def test_leaks_have_bands_of_their_own_first():
    leaking = [group(3, started(frame(f"leaks_{i}")), Trend.LEAKING) for i in range(6)]
    steady = [group(9, started(frame(f"works_{i}"))) for i in range(6)]
    bands = bands_of(report(*steady, *leaking, leaks=tuple(leak(one) for one in leaking)))
    sizes = [1] * MOST_OF_LEAKS + [6 - MOST_OF_LEAKS] + [1] * MOST_OTHERS + [6 - MOST_OTHERS]
    assert [len(band.groups) for band in bands] == sizes
    assert len({band.slot for band in bands}) == len(bands)


def test_the_way_to_the_limit_is_that_of_the_deadline():
    limit = Limit("pids.max 2048", 1000, 2048, 1.0)
    found = with_deadline(Deadline(limit, 1000.0, 800.0, None))
    way = way_of(found.leaks[0], found)
    assert way is not None
    assert way.now == 187
    assert way.limit == pytest.approx(187 + 61 / 60 * 1000)
    assert way.until_s == 2000
    assert way_of(found.leaks[0], with_deadline(None)) is None
    reached = Deadline(limit._replace(used=2048), 0.0, 0.0, 0.0)
    assert way_of(found.leaks[0], with_deadline(reached)) is None


def with_deadline(deadline: Deadline | None) -> Report:
    return report(*WATCH.groups, leaks=WATCH.leaks, deadline=deadline)


# --- the tree -------------------------------------------------------------------------------------


def test_frames_that_all_share_are_one_node():
    root = merged([Held(getting(), 5, 3), Held(started(frame("spin")), 2, 0)])
    assert [(node.threads, node.marked) for node in nodes(root)] == [(7, 3), (5, 3), (2, 0)]
    waiting = root.children[0]
    assert [one.function for one in waiting.frames] == ["consume", "Queue.get", "Condition.wait"]
    assert waiting.title == frame()


def test_ways_part_where_threads_do():
    inner = [Held(started(frame(f"f{i}"), frame("serve")), 1, 0) for i in range(3)]
    (serve,) = merged(inner).children
    assert serve.threads == 3
    assert len(serve.children) == 3


def test_what_is_cut_off_is_counted():
    many = MOST_CHILDREN + 7
    root = merged(Held(started(frame(f"f{i}")), 2, 0) for i in range(many))
    assert (len(root.children), root.cut_places, root.cut_threads) == (MOST_CHILDREN, 7, 14)
    deep = [Held(started(*[frame(f"f{i}")] * 1, *[frame("again")] * i), 1, 0) for i in range(900)]
    assert len(list(nodes(merged(deep)))) <= MOST_NODES


# --- the page -------------------------------------------------------------------------------------


def test_the_first_words_say_what_leaks_how_fast_where_and_what_to_do():
    page = report_page(STEADY_LEAK)
    (only,) = STEADY_LEAK.leaks
    assert only.cause is not None
    assert "<title>LEAKING: 1 leak in process 4711, 40.0 threads a minute</title>" in page
    assert "/srv/app/jobs.py:41</code> in <code>consume</code>" in page
    assert "What to do" in page
    assert "<code>queue.shutdown()</code>" in page
    for sentence in only.evidence:
        assert sentence in page


@pytest.mark.parametrize("overall", Overall)
def test_each_verdict_has_a_page(overall):
    page = report_page(report(group(3, trend=Trend.GROWING), verdict=overall))
    assert f'class="verdict {overall.value}"' in page


def test_nothing_has_a_page():
    assert "too little was seen" in report_page(nothing())


def test_several_processes_are_listed():
    from leakscope.report import Member
    from tests.builders import target

    members = tuple(Member(target(pid=pid), 3, 4, Overall.CLEAN) for pid in (11, 12))
    page = report_page(report(group(), several=members, targets=(members[0].target,)))
    assert "What each process came to" in page


def test_only_the_page_s_own_style_and_script_are_allowed():
    page = report_page(WATCH)
    assert "default-src 'none'; style-src 'sha256-" in page
    assert "; script-src 'sha256-" in page
    assert page.count("<script") == page.count("<style") == 1
    assert " style=" not in page
    assert "http://www.w3.org/2000/svg" in page
    assert page.count("http:") == page.count('xmlns="http:')
    assert "https:" not in page


@settings(max_examples=15)
@given(text=EVIL.filter(bool))
@example(HOSTILE["HTML"])
def test_no_text_of_the_target_becomes_markup_or_steers(text):
    page = report_page(hostile_report(text))
    assert not harmful(page)
    # What the text says may change whose code it looks like, and where a stack begins, so that
    # there are a few elements more or less: there must be none of another kind.
    kinds = set(Elements(report_page(hostile_report("plain"))).found)
    assert set(Elements(page).found) <= kinds | {("li", ())}


def test_without_its_libraries_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(drawing, "find_spec", lambda name: None)
    with pytest.raises(UsageProblem, match="needs jinja2"):
        drawing.check_installed()


def test_it_fails_at_once_where_it_cannot_be_written(tmp_path):
    look = tmp_path / "look.txt"
    look.write_text("Thread 1 (idle)\n    run (a.py:3)\n")
    missing = tmp_path / "missing" / "page.html"
    for command in (("diff", look, look), ("replay", look)):
        done = leakscope_cli(*command, "--html", missing)
        assert done.returncode == 2
        assert "cannot write to" in done.stderr


def test_what_grows_stands_out_from_the_others():
    bands = bands_of(report(group(9), group(7, started(frame("grows")), Trend.GROWING)))
    assert [(band.slot, len(band.groups)) for band in bands[:2]] == [(GROWING, 1), (5, 1)]


def test_each_band_that_is_drawn_is_in_the_legend():
    read = group(9, points=points(0, 9, 9))
    unread = group(members=(), frames=(), points=points(0, 7, 0))
    page = report_page(report(read, unread, total_points=points(9, 20, 9), now_s=2.0))
    shapes = set(re.findall(r'"shape (slot-\d+) ', page))
    assert len(shapes) == 3
    assert shapes == set(re.findall(r'<li class="(slot-\d+)">', page))
    assert "stack not read yet: <strong>0</strong>" in page
    assert "other groups: <strong>0</strong>" in page


def test_one_group_is_no_groups():
    assert 'data-noun="group">1 group</span>' in report_page(report(group()))
    assert 'data-noun="group">2 groups</span>' in report_page(
        report(group(), group(2, started(frame("other"))))
    )


def test_an_hour_of_a_thousand_threads_is_below_a_megabyte():
    assert len(report_page(an_hour()).encode()) < MOST_BYTES


def test_the_longest_names_are_below_a_megabyte():
    assert len(report_page(an_hour("x" * 4000)).encode()) < MOST_BYTES


def test_the_deepest_stacks_and_most_leaks_are_below_a_megabyte():
    page = report_page(an_hour(depth=400, leaks=120))
    assert len(page.encode()) < MOST_BYTES
    assert "340 frames between, not shown here" in page
    assert "100 more leaks" in page


def an_hour(prefix: str = "handle", *, depth: int = 30, leaks: int = 20) -> Report:
    """The most that an hour leaves of 1000 threads: 250 groups of 600 sizes, some of them leaks."""
    groups = []
    for number in range(250):
        inner = [frame(f"{prefix}_{number}_{i}", f"/srv/app/part_{i}.py", i) for i in range(depth)]
        frames = started(*inner)
        members = [
            stay(4 * number + i, frames=frames, born_s=-900.0 * i, began_s=-900.0 * i)
            for i in range(4)
        ]
        sizes = tuple(Point(6.0 * i, 3 + i % 2) for i in range(600))
        trend = Trend.LEAKING if number < leaks else Trend.CHURNING
        groups.append(group(frames=frames, trend=trend, members=members, points=sizes))
    return report(
        *groups,
        leaks=tuple(leak(one, evidence=("A sentence of evidence.",) * 4) for one in groups[:leaks]),
        total_points=tuple(Point(6.0 * i, 1000 + i % 5) for i in range(600)),
        observed_s=3600.0,
        now_s=3600.0,
        deadline=Deadline(Limit("pids.max 4096", 1000, 4096, 1.0), 9000.0, 7000.0, 12000.0),
    )


# --- the page of a comparison ---------------------------------------------------------------------


def test_a_comparison_says_what_is_new_gone_grown_and_shrunk():
    def look(name: str, **sizes: int) -> Look:
        stacks = [Stack(started(Frame(f, "/srv/app/a.py", 3)), n) for f, n in sizes.items()]
        return Look(name, tuple(stacks))

    page = diff_page(
        difference(
            look("before.json", grows=3, shrinks=9, goes=2, stays=4),
            look("after.json", grows=50, shrinks=1, comes=7, stays=4),
            Level.FUNCTION,
        )
    )
    assert "<title>grown: 2 groups have 54 threads more; +44 in all</title>" in page
    for kind in ("new", "grown", "same", "shrunk", "gone"):
        assert f"<dt>groups {kind}</dt><dd>1</dd>" in page


@settings(max_examples=15)
@given(text=EVIL)
@example(HOSTILE["HTML"])
def test_no_text_of_a_comparison_becomes_markup_or_steers(text):
    def page(text: str) -> str:
        evil = Stack(started(frame(text, f"/srv/{text}/{text}.py")), 9)
        looks = Look(text, ()), Look(text, (evil,), notes=(text,))
        return diff_page(difference(*looks, Level.FUNCTION))

    assert not harmful(page(text))
    assert set(Elements(page(text)).found) <= set(Elements(page("plain")).found) | {("li", ())}
