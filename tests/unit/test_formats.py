"""Formats for other tools, each held against what really reads it."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from itertools import pairwise
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from leakscope.cli import main
from leakscope.diffing import Diff, Look, Stack, difference
from leakscope.facts import Point
from leakscope.levels import Level
from leakscope.renderers import (
    diff_folded,
    diff_openmetrics,
    diff_speedscope,
    folded,
    json_report,
    openmetrics,
    speedscope,
)
from leakscope.renderers.speedscope import MAX_PROFILES
from leakscope.report import Kind, Report
from tests.builders import (
    LEAKING,
    WATCH,
    frame,
    getting,
    group,
    hostile_report,
    key,
    nothing,
    points,
    report,
    started,
    stay,
    stays,
    target,
)
from tests.hostile import HOSTILE, SURROGATE, harmful
from tests.readers import flamegraph_draws, inferno_draws, speedscope_schema

EVIL = st.one_of(
    st.sampled_from([*HOSTILE.values(), SURROGATE, "a;b", ";", " 5", "f 1 2", "", "#"]),
    st.text(st.characters(exclude_categories=()), max_size=12),
)
# As flamegraph.pl and inferno take a line apart: a stack, one count, or two of a comparison.
ONE_COUNT = re.compile(r"(?P<stack>.*[^ \d].*) (?P<count>\d+)")
TWO_COUNTS = re.compile(r"(?P<stack>.*) (?P<before>\d+(?:\.\d*)?) (?P<after>\d+(?:\.\d*)?)")

HELD = report(group(187), group(3, started(frame("spin", "/srv/app/loops.py", 7))))
DUMP = replace(WATCH, kind=Kind.DUMP)
BEFORE = Look("before.json", (Stack(getting(), 3), Stack(started(frame("old")), 4)))
AFTER = Look("after.json", (Stack(getting(), 40), Stack(started(frame("new")), 2)))


def diffed(level: Level = Level.FUNCTION) -> Diff:
    return difference(BEFORE, AFTER, level)


def evil_diff(text: str) -> Diff:
    evil = Stack(started(frame(text, f"/srv/{text}/{text}.py")), 9)
    return difference(Look(text, ()), Look(text, (evil,)), Level.FUNCTION)


# --- folded ---------------------------------------------------------------------------------------


def test_a_folded_line_is_a_stack_from_outside_in_and_its_threads():
    first, second = folded.lines(HELD)
    assert first == (
        "Thread._bootstrap (python3.11/threading.py);"
        "Thread._bootstrap_inner (python3.11/threading.py);Thread.run (python3.11/threading.py);"
        "consume (app/jobs.py);Queue.get (python3.11/queue.py);"
        "Condition.wait (python3.11/threading.py) 187"
    )
    assert second.endswith(";spin (app/loops.py) 3")


def test_lines_of_code_are_told_apart_only_where_that_was_asked_for():
    two = [stay(1, frames=started(frame(line=7))), stay(2, frames=started(frame(line=9)))]
    for level, expected in ((Level.FUNCTION, 1), (Level.LINE, 2)):
        found = report(group(members=two, level=level), level=level)
        assert len(list(folded.lines(found))) == expected


def test_groups_of_another_level_are_not_counted_again():
    entry = group(3, level=Level.ENTRY)
    assert list(folded.lines(report(group(3), entry))) == list(folded.lines(report(group(3))))


def test_each_of_several_processes_is_a_tower_of_its_own():
    members = [*stays(2), stay(9, key=key(9, pid=5000))]
    both = report(group(members=members), targets=(target(), target(pid=5000)))
    found = replace(both, several=both.members)
    assert [line.partition(";")[0] for line in folded.lines(found)] == [
        "process 4711",
        "process 5000",
    ]


def test_what_was_not_read_is_counted_all_the_same():
    assert list(folded.lines(report(group(members=stays(2, frames=()), frames=())))) == [
        "stack not read 2"
    ]


@given(text=EVIL)
def test_no_name_can_break_a_folded_line(text):
    (line,) = folded.lines(hostile_report(text))
    assert len(line.splitlines()) == 1
    assert not harmful(line)
    found = ONE_COUNT.fullmatch(line)
    assert found
    assert found["count"] == "1"
    assert not TWO_COUNTS.fullmatch(line)
    assert len(line.split(";")) == 4, "the frames of threading, and one"


@given(text=EVIL)
def test_no_name_can_break_a_folded_comparison(text):
    (line,) = diff_folded.lines(evil_diff(text))
    assert not harmful(line)
    found = TWO_COUNTS.fullmatch(line)
    assert found
    assert (found["before"], found["after"]) == ("0", "9")
    assert not TWO_COUNTS.fullmatch(found["stack"])


EACH_READER = pytest.mark.parametrize("draws", [inferno_draws, flamegraph_draws])


@EACH_READER
def test_what_is_folded_is_drawn(draws):
    drawn = draws(folded.lines(HELD))
    assert "all (190 samples, 100%)" in drawn
    assert "consume (app/jobs.py) (187 samples, 98.42%)" in drawn


@EACH_READER
def test_it_is_drawn_whatever_a_function_is_called(draws):
    names = [*HOSTILE.values(), SURROGATE, "a;b", "f 1 2", ""]
    drawn = draws(line for name in names for line in folded.lines(hostile_report(name)))
    assert f"all ({len(names)} samples, 100%)" in drawn
    assert f"Thread.run (python3.11/threading.py) ({len(names)} samples, 100.00%)" in drawn


@EACH_READER
def test_a_comparison_is_drawn_by_what_has_grown(draws):
    drawn = draws(diff_folded.lines(diffed()))
    assert "Condition.wait (python3.11/threading.py) (40 samples, 95.24%; +88.10%)" in drawn


# --- speedscope -----------------------------------------------------------------------------------


def file_of(found: Report) -> dict[str, Any]:
    (line,) = speedscope.lines(found)
    read: dict[str, Any] = json.loads(line)
    return read


def weight(profile: dict[str, Any]) -> int:
    assert len(profile["samples"]) == len(profile["weights"])
    assert profile["endValue"] == sum(profile["weights"])
    end: int = profile["endValue"]
    return end


def test_a_watch_has_a_profile_for_each_moment_of_a_change():
    file = file_of(WATCH)
    assert [profile["name"] for profile in file["profiles"]] == [
        "after 0.0 s: 5 threads",
        "after 1.0 s: 75 threads",
        "after 2.0 s: 198 threads",
    ]
    assert [weight(profile) for profile in file["profiles"]] == [5, 75, 198]
    assert file["activeProfileIndex"] == 2
    assert file["name"] == "python app.py"


def test_a_stack_is_from_outside_in():
    file = file_of(WATCH)
    frames = file["shared"]["frames"]
    stack = [frames[number] for number in file["profiles"][-1]["samples"][0]]
    assert [one["name"] for one in stack][-3:] == ["consume", "Queue.get", "Condition.wait"]
    assert stack[-3] == {"name": "consume", "file": "/srv/app/jobs.py", "line": 41}


def test_a_dump_and_an_empty_report_are_one_profile():
    assert [weight(profile) for profile in file_of(DUMP)["profiles"]] == [198]
    assert [weight(profile) for profile in file_of(nothing())["profiles"]] == [0]


def test_a_group_is_there_from_when_it_came_until_it_ended():
    late = group(0, points=(Point(5.0, 4), Point(7.0, 0)), members=())
    file = file_of(report(late, group(2, points=points(2, 2))))
    assert [weight(profile) for profile in file["profiles"]] == [2, 2, 6, 2]


def test_a_long_watch_is_thinned_to_even_steps_and_says_so():
    grown = points(*range(1, 1001))
    file = file_of(report(group(1000, points=grown), total_points=grown))
    sizes = [weight(profile) for profile in file["profiles"]]
    assert len(sizes) == MAX_PROFILES
    assert (sizes[0], sizes[-1]) == (1, 1000)
    assert {later - earlier for earlier, later in pairwise(sizes)} <= {10, 11}
    assert file["name"] == "python app.py, at 100 moments of 1000 with a change"


@pytest.mark.parametrize("found", [WATCH, DUMP, nothing(), hostile_report(HOSTILE["CSI"])])
def test_speedscope_takes_a_report(found):
    jsonschema.validate(file_of(found), speedscope_schema())


def test_speedscope_takes_a_comparison_as_two_profiles():
    (line,) = diff_speedscope.lines(diffed())
    file = json.loads(line)
    jsonschema.validate(file, speedscope_schema())
    assert [profile["name"] for profile in file["profiles"]] == [
        "before: before.json: 7 threads",
        "after: after.json: 42 threads",
    ]
    assert [weight(profile) for profile in file["profiles"]] == [7, 42]


@given(text=EVIL)
def test_no_name_reaches_speedscope_as_it_is(text):
    (watched,) = speedscope.lines(hostile_report(text))
    (compared,) = diff_speedscope.lines(evil_diff(text))
    for line in (watched, compared):
        assert line.isascii()
        file = json.loads(line)
        shown = [file["name"], *(profile["name"] for profile in file["profiles"])]
        shown += [value for one in file["shared"]["frames"] for value in map(str, one.values())]
        assert not any(map(harmful, shown))
        assert all(one["name"] for one in file["shared"]["frames"])


# --- openmetrics ----------------------------------------------------------------------------------


def samples_of(lines) -> dict[tuple[Any, ...], float]:
    """What the official parser makes of it: name and labels to the value."""
    text = "".join(f"{line}\n" for line in lines)
    families = list(text_string_to_metric_families(text))
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_openmetrics_has_the_figures_of_a_report():
    found = samples_of(openmetrics.lines(WATCH))
    where = (("group", LEAKING.id), ("site", "jobs.py:consume"), ("wait", "queue.get"))
    assert found["leakscope_target_threads",] == 198
    assert found["leakscope_leaks",] == 1
    assert found["leakscope_group_threads", *where] == 187
    verdict = (("group", LEAKING.id), ("verdict", "leaking"))
    assert found["leakscope_group_verdict", *verdict] == 1
    assert found["leakscope_samples_total", ("outcome", "taken")] == 60


def test_openmetrics_of_nothing_and_of_a_dump_can_be_read():
    assert samples_of(openmetrics.lines(nothing()))["leakscope_leaks",] == 0
    assert samples_of(openmetrics.lines(DUMP))["leakscope_target_threads",] == 198


def test_openmetrics_has_the_figures_of_a_comparison():
    found = samples_of(diff_openmetrics.lines(diffed()))
    assert found["leakscope_diff_threads", ("look", "before")] == 7
    assert found["leakscope_diff_threads", ("look", "after")] == 42
    assert found["leakscope_diff_has_grown",] == 1
    growth = {key: v for key, v in found.items() if key[0] == "leakscope_diff_group_growth_threads"}
    assert sorted(growth.values()) == [2, 37]


@given(text=EVIL)
def test_no_name_can_break_openmetrics(text):
    for lines in (
        list(openmetrics.lines(hostile_report(text))),
        list(diff_openmetrics.lines(evil_diff(text))),
    ):
        assert not any(map(harmful, lines))
        found = samples_of(lines)
        assert max(len(value) for key in found for _, value in key[1:]) <= 120


def test_it_is_said_what_to_install(monkeypatch, capsys, tmp_path):
    for name in [name for name in sys.modules if name.startswith("prometheus_client")]:
        monkeypatch.delitem(sys.modules, name)
    ours = ("exporters.client", "exporters.openmetrics", "renderers.diff_openmetrics")
    for name in [f"leakscope.{module}" for module in ours]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.setitem(sys.modules, "prometheus_client.core", None)
    look = tmp_path / "look.json"
    look.write_text("".join(json_report.lines(DUMP)))
    with pytest.raises(SystemExit) as ended:
        main(["diff", str(look), str(look), "--format", "openmetrics"])
    assert ended.value.code == 2
    assert "needs the package prometheus-client" in capsys.readouterr().err
