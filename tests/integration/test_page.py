"""The page as people meet it: opened in a real browser, from the disk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leakscope.diffing import Look, Stack, difference
from leakscope.limits import Deadline, Limit
from leakscope.model import Frame
from leakscope.renderers.page.diff_page import diff_page
from leakscope.renderers.page.report_page import report_page, way_of
from leakscope.report import Report
from leakscope.stacks import Level
from tests.browser import AXE, Browser, browser, why_no_browser
from tests.builders import started
from tests.hostile import HOSTILE, harmful
from tests.running import leakscope_cli, running
from tests.samples import every, lives, pool, report_on, series

pytestmark = pytest.mark.skipif(bool(why_no_browser()), reason=why_no_browser() or "")

NO_AXE = f"no {AXE.name} here: `.ci/install-browser .browser` brings it"
DEADLINE = Deadline(Limit("pids.max 4096", 1000, 4096, 1.0), 4644.0, 4000.0, 5600.0)
# No text of Python's template engines may be filled in either.
TEMPLATES = "{{ 7 * 7 }}{% for x in y %}{# gone #}${7*7}"
NAMES = [*(text for name, text in HOSTILE.items() if name != "tab"), TEMPLATES]

# The shapes of one drawing, read back in the units of its axes: what a person with a ruler does.
READ = """
const svg = arguments[0];
const labels = (axis, place) => Array.from(
  svg.querySelectorAll(`.axis.${axis} .guides`), (guides) => {
    const box = guides.querySelector("path").getBBox();
    return [guides.querySelector("text").textContent, box[place]];
  });
const shapes = Array.from(svg.querySelectorAll("path[class^='line reactive']"), (path) => [
  path.parentNode.getAttribute("class").replace("shape ", ""),
  path.getAttribute("d").match(/-?[\\d.]+ -?[\\d.]+/g).map((pair) => pair.split(" ").map(Number)),
]);
return {x: labels("x", "x"), y: labels("y", "y"), shapes: Object.fromEntries(shapes)};
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def leaking() -> Report:
    """A pool and a leak of 40 a minute, five minutes before a watch of one and on."""
    leak = lives(every(1.5, begin_s=-300, end_s=60), first=100)
    found = report_on(series([*pool(30), *leak], until_s=60))
    return replace(found, deadline=DEADLINE)


@pytest.fixture(scope="module")
def page(leaking: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(report_page(leaking), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def look(name: str, **sizes: int) -> Look:
        stacks = [Stack(started(Frame(f, "/srv/app/a.py", 3)), n) for f, n in sizes.items()]
        return Look(name, tuple(stacks))

    before = look("before.json", grows=3, shrinks=9, goes=2, stays=4)
    after = look("after.json", grows=50, shrinks=1, comes=7, stays=4)
    path = tmp_path_factory.mktemp("page") / "diff.html"
    path.write_text(diff_page(difference(before, after, Level.FUNCTION)), encoding="utf-8")
    return path


class Drawing:
    """A chart, read back from the screen."""

    def __init__(self, chromium: Browser, selector: str) -> None:
        (svg,) = chromium.driver.find_elements("css selector", selector)
        read: dict[str, Any] = chromium.run(READ, svg)
        self._shapes: dict[str, list[list[float]]] = read["shapes"]
        ticks = sorted((place, float(text.replace(",", ""))) for text, place in read["y"])
        (self._y0, self._v0), (self._y1, self._v1) = ticks[0], ticks[-1]
        self.x: dict[str, float] = dict(read["x"])

    def counts(self, kind: str, x: float) -> list[float]:
        """The counts that a shape has near a place of the time axis, the lowest first."""
        per_unit = (self._v1 - self._v0) / (self._y1 - self._y0)
        return sorted(
            self._v0 + (y - self._y0) * per_unit
            for at, y in self._shapes[kind]
            if abs(at - x) < 0.2
        )

    def span(self, kind: str) -> tuple[float, float]:
        """From where to where a shape goes along the time axis."""
        places = [at for at, _ in self._shapes[kind]]
        return min(places), max(places)


# --- it stands alone ------------------------------------------------------------------------------


def test_nothing_fails_and_no_request_leaves(chromium, page, comparison):
    for path in (page, comparison):
        chromium.open(path)
        assert chromium.errors() == []
        assert set(chromium.requests()) == {path.as_uri()}


def test_the_first_screen_says_what_where_how_fast_and_what_to_do(chromium, page):
    for width, height in ((1280, 800), (390, 844)):
        chromium.open(page, width=width, height=height)
        bottom = chromium.run(
            "return document.querySelector('.cure').getBoundingClientRect().bottom"
        )
        assert bottom <= height
        text = chromium.run("return document.body.innerText")
        for told in ("LEAKING", "+40.0", "/srv/app/jobs.py:41", "consume", "queue.shutdown()"):
            assert told in text
        assert chromium.run("return document.documentElement.scrollWidth") <= width


def test_it_is_dark_where_that_is_wanted(chromium, page):
    grounds = set()
    for scheme in ("light", "dark"):
        chromium.open(page, scheme=scheme)
        grounds.add(chromium.run("return getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


# --- the charts -----------------------------------------------------------------------------------


def test_the_leak_s_chart_has_the_report_s_numbers(chromium, page, leaking):
    chromium.open(page)
    chart = Drawing(chromium, "#leak-1-chart svg")
    (leak,) = leaking.leaks
    before, seen, fit = "past", "seen", "fit"
    now = chart.counts(seen, chart.span(seen)[1])[-1]
    assert now == pytest.approx(len(leak.leaked), abs=1)
    assert chart.counts(before, chart.span(before)[1])[-1] == pytest.approx(201, abs=1)
    assert chart.span(before)[1] == pytest.approx(chart.span(seen)[0], abs=0.2)
    # The line is as steep as the rate.
    begin, end = (chart.counts(fit, x)[-1] for x in (chart.x["start"], chart.span(seen)[1]))
    assert end - begin == pytest.approx(leak.rate_per_min, abs=2)


def test_bands_are_as_high_as_their_groups(chromium, page, leaking):
    chromium.open(page)
    chart = Drawing(chromium, "#threads svg")
    sizes = {group.site.function: group.size for group in leaking.groups if group.site}
    leak, others = "slot-0 seen", "slot-5 seen"
    bottom, top = (chart.counts(leak, chart.x["1 min"])[i] for i in (0, -1))
    assert top == pytest.approx(leaking.threads, abs=1.5)
    assert top - bottom == pytest.approx(sizes["consume"], abs=1.5)
    assert chart.counts(others, chart.x["1 min"])[-1] == pytest.approx(sizes["_worker"], abs=1.5)
    # What was there when the watch began is known from births.
    assert chart.counts("slot-0 past", chart.x["start"])[-1] == pytest.approx(231, abs=1.5)


def test_the_way_to_the_limit_ends_there_in_time(chromium, page, leaking):
    chromium.open(page)
    chart = Drawing(chromium, "#leak-1-way svg")
    way = way_of(leaking.leaks[0], leaking)
    assert way is not None
    expected, limit, band = "expected", "limit", "range"
    assert chart.counts(limit, chart.span(limit)[0])[-1] == pytest.approx(way.limit, rel=0.01)
    began, reached = chart.span(expected)
    unit = (chart.x["+1 h"] - chart.x["now"]) / 3600
    assert began == pytest.approx(chart.x["now"], abs=0.2)
    assert (reached - began) / unit == pytest.approx(DEADLINE.seconds, rel=0.01)
    assert DEADLINE.latest_s is not None
    assert (chart.span(band)[1] - began) / unit == pytest.approx(DEADLINE.latest_s, rel=0.01)


def test_each_chart_says_the_same_in_numbers(chromium, page, leaking):
    chromium.open(page)
    rows = chromium.run(
        "return Array.from(document.querySelectorAll('#threads tbody tr'),"
        " (row) => Array.from(row.cells, (cell) => cell.textContent))"
    )
    assert rows[-1][:4] == ["60 s", str(leaking.threads), "240", "30"]
    assert all(sum(map(int, row[2:])) == int(row[1]) for row in rows)


# --- the table and the tree -----------------------------------------------------------------------


COLUMN = "return Array.from(document.querySelectorAll('#groups tbody tr:not([hidden])'),"
COUNTS = f"{COLUMN} (row) => Number(row.cells[arguments[0]].textContent))"


def test_headings_sort_by_mouse_and_by_key(chromium, comparison):
    chromium.open(comparison)
    before, *_ = [
        button
        for button in chromium.driver.find_elements("css selector", "th button")
        if button.text.startswith("before")
    ]
    before.click()
    assert chromium.run(COUNTS, 1) == [9, 4, 3, 2, 0]
    before.send_keys("\n")
    assert chromium.run(COUNTS, 1) == [0, 2, 3, 4, 9]
    states = chromium.run(
        "return Array.from(document.querySelectorAll('th[aria-sort]'), (th) => th.ariaSort)"
    )
    assert states.count("ascending") == 1
    assert states.count("none") == len(states) - 1


def test_the_filter_keeps_what_has_all_words_and_counts_it(chromium, page):
    chromium.open(page)
    (field,) = chromium.driver.find_elements("css selector", "#groups-filter")
    field.send_keys("STEADY worker")
    assert chromium.run(COUNTS, 0) == [30]
    assert chromium.run("return document.querySelector('[role=status]').textContent") == (
        "1 of 2 groups"
    )
    field.clear()
    field.send_keys(" ")
    assert len(chromium.run(COUNTS, 0)) == 2


def test_all_of_the_tree_opens_and_is_open_on_paper(chromium, page):
    chromium.open(page)
    closed = "return document.querySelectorAll('#stacks details:not([open])').length"
    close, open_ = (
        chromium.driver.find_element("css selector", f"[data-{what}]") for what in ("close", "open")
    )
    close.click()
    assert chromium.run(closed) == 2
    chromium.run("window.dispatchEvent(new Event('beforeprint'))")
    assert chromium.run(closed) == 0
    chromium.run("window.dispatchEvent(new Event('afterprint'))")
    assert chromium.run(closed) == 2
    open_.click()
    assert chromium.run(closed) == 0


# --- for everyone ---------------------------------------------------------------------------------


@pytest.mark.skipif(not AXE.exists(), reason=NO_AXE)
@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
)
def test_nothing_serious_stands_in_anyone_s_way(chromium, page, comparison, width, scheme):
    for path in (page, comparison):
        chromium.open(path, width=width, scheme=scheme)
        # What is closed is not looked at.
        chromium.run("for (const one of document.querySelectorAll('details')) one.open = true")
        assert chromium.violations() == []


# --- of real processes ----------------------------------------------------------------------------


@pytest.mark.attach
def test_hostile_names_stay_text(chromium, tmp_path):
    path = tmp_path / "hostile.html"
    with running("hostile_names.py", json.dumps(NAMES), NAMES[0]) as target:
        done = leakscope_cli("watch", target.pid, "--count", 3, "--html", path, "--json")
    assert done.returncode == 0, done.stderr
    chromium.open(path)
    assert chromium.errors() == []
    assert set(chromium.requests()) == {path.as_uri()}
    counts = chromium.run(
        "return ['script', 'img', 'iframe', 'link', 'a:not([href^=\"#\"])', '[onerror]'].map("
        "(what) => document.querySelectorAll(what).length)"
    )
    assert counts == [1, 0, 0, 0, 0, 0]
    text = chromium.run("return document.body.textContent")
    assert not harmful(text)
    for name in ("HTML", "shell", "markup"):
        assert HOSTILE[name] in text
    assert TEMPLATES in text


@pytest.mark.attach
def test_a_watch_and_its_replay_leave_pages_with_the_numbers_of_their_reports(chromium, tmp_path):
    recording, watched = tmp_path / "watch.jsonl", tmp_path / "watched.html"
    with running("leaky_service.py", "--pool", "7", "--requests", "0") as target:
        target.tell("leak 12")
        done = leakscope_cli(
            "watch", target.pid, "--count", 3, "--record", recording, "--html", watched, "--json"
        )
    assert done.returncode == 0, done.stderr
    replayed = tmp_path / "replayed.html"
    again = leakscope_cli("replay", recording, "--html", replayed, "--json")
    for path, said in ((watched, done.stdout), (replayed, again.stdout)):
        groups = json.loads(said.splitlines()[-1])["groups"]
        chromium.open(path)
        assert chromium.errors() == []
        shown = {
            row[0]: int(row[1])
            for row in chromium.run(
                "return Array.from(document.querySelectorAll('#groups tbody tr'),"
                " (row) => [row.id, row.cells[0].textContent])"
            )
        }
        assert shown == {f"group-{one['id']}": one["count"] for one in groups if one["count"]}
        assert 12 in shown.values()
        assert re.search(r"process \d+ started", chromium.run("return document.body.innerText"))
