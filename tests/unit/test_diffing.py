"""What a comparison of two looks says, as values and as text."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakscope.diffing import ChangeKind, Diff, Held, Look, Stack, can_group, compare, difference
from leakscope.renderers.diff_text import lines as diff_lines
from leakscope.stacks import Level, group_id
from tests.builders import HOSTILE, LIB, frame, getting, started

GETTING = getting()
SPINNING = started(frame("spin", "/srv/app/loops.py", 7))
POOL = started(frame("_worker", f"{LIB}/concurrent/futures/thread.py", 81))


def look(*stacks: Stack, name: str = "a.json", level: Level = Level.LINE, **fields) -> Look:
    return Look(name, stacks, level, **fields)


def between(before: Look, after: Look, level: Level = Level.FUNCTION, *ignore: str) -> Diff:
    return difference(before, after, level, map(re.compile, ignore))


def shortened(*stacks: Stack) -> Look:
    """The same as py-spy's text gives it."""
    short = (
        Stack(
            tuple(f._replace(filename=f.filename.removeprefix(f"{LIB}/")) for f in stack.frames),
            stack.size,
        )
        for stack in stacks
    )
    return look(*short, name="b.txt", is_whole=False)


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [(0, 2, "new"), (1, 3, "grown"), (2, 2, "same"), (3, 1, "shrunk"), (2, 0, "gone")],
)
def test_each_kind(before, after, kind):
    (change,) = compare({"a": Held(before, GETTING)}, {"a": Held(after, GETTING)})
    assert change.kind == kind
    assert change.growth == after - before
    assert change.site == frame()
    assert change.wait == "queue.get"


def test_every_kind_is_tested():
    assert {kind.value for kind in ChangeKind} == {"new", "grown", "same", "shrunk", "gone"}


sides = st.dictionaries(
    st.sampled_from("abcdef"), st.builds(Held, st.integers(1, 9), st.just(GETTING))
)


@given(sides, sides)
def test_nothing_is_lost_and_the_order_is_total(before, after):
    changes = compare(before, after)
    assert sum(change.growth for change in changes) == sum(s.size for s in after.values()) - sum(
        s.size for s in before.values()
    )
    assert [change.growth for change in changes] == sorted(
        (change.growth for change in changes), reverse=True
    )
    again = compare(dict(reversed(before.items())), dict(reversed(after.items())))
    assert changes == again
    there_and_back = {c.id: c.growth for c in compare(after, before)}
    assert {c.id: -c.growth for c in changes} == there_and_back


def test_lines_split_groups_only_when_asked():
    moved = getting(frame(line=42))
    before, after = look(Stack(GETTING, 2)), look(Stack(moved, 2))
    assert [c.kind for c in between(before, after).changes] == ["same"]
    assert [c.kind for c in between(before, after, Level.LINE).changes] == ["new", "gone"]


def test_the_commonest_stack_stands_for_a_group():
    moved = getting(frame(line=42))
    (change,) = between(look(), look(Stack(GETTING, 2), Stack(moved, 3))).changes
    assert (change.after, change.frames) == (5, moved)
    assert change.id == group_id(GETTING, Level.FUNCTION)


def test_whole_names_are_compared_as_groups_of_reports():
    other = getting(frame(filename="/other/place/jobs.py"))
    diff = between(look(Stack(GETTING, 1)), look(Stack(other, 1)))
    assert [change.kind for change in diff.changes] == ["same"]
    assert not diff.notes


@pytest.mark.parametrize("text_first", [True, False])
def test_text_is_compared_by_base_names_and_says_so(text_first):
    stacks = (Stack(GETTING, 4), Stack(POOL, 30))
    text, whole = shortened(*stacks), look(*stacks)
    diff = between(text, whole) if text_first else between(whole, text)
    assert [change.growth for change in diff.changes] == [0, 0]
    assert {change.frames for change in diff.changes} == {GETTING, POOL}, "the whole names"
    assert "b.txt" in diff.notes[0]


def test_site_and_wait_by_short_names():
    diff = between(shortened(), shortened(Stack(GETTING, 4), Stack(POOL, 1)))
    getting_, pool = diff.changes
    assert (getting_.site, getting_.wait) == (frame(), "queue.get")
    assert pool.wait == "executor idle"
    assert pool.site is not None
    assert pool.site.function == "_worker"


@given(st.lists(st.tuples(st.sampled_from([GETTING, SPINNING, POOL, ()]), st.integers(1, 5))))
def test_a_look_does_not_differ_from_itself(stacks):
    one = look(*(Stack(*stack) for stack in stacks))
    for level in Level:
        diff = between(one, one, level)
        assert all(change.kind == "same" for change in diff.changes)
        assert diff.threads_after == sum(size for _, size in stacks)


def test_ignored_groups_are_left_out_of_both_sides():
    diff = between(
        shortened(Stack(GETTING, 4), Stack(SPINNING, 1)),
        look(Stack(GETTING, 9), Stack(SPINNING, 1)),
        Level.FUNCTION,
        "/srv/app/jobs",
    )
    assert (diff.threads_before, diff.threads_after) == (1, 1)


def test_has_grown_is_about_one_group():
    diff = between(look(Stack(GETTING, 1)), look(Stack(GETTING, 4), Stack(SPINNING, 3)))
    assert replace(diff, min_growth=3).has_grown
    assert not replace(diff, min_growth=4).has_grown


def test_coarser_is_possible_and_finer_is_not():
    assert can_group(look(), Level.ENTRY)
    assert can_group(look(level=Level.FUNCTION), Level.FUNCTION)
    assert not can_group(look(level=Level.FUNCTION), Level.LINE)
    assert not can_group(look(level=Level.ENTRY), Level.FUNCTION)


# --- text -----------------------------------------------------------------------------------------


def test_text():
    timing = started(frame("tick", "/srv/app/clock.py", 3))
    before = look(Stack(GETTING, 126), Stack(POOL, 30), Stack(SPINNING, 3), Stack(timing, 2))
    after = look(
        Stack(GETTING, 187), Stack(POOL, 30), Stack(SPINNING, 1), name="b.json", notes=("Mind.",)
    )
    assert list(diff_lines(between(before, after))) == [
        "thread profile: 161 -> 218 (+57)",
        "a.json -> b.json",
        "note: Mind.",
        "",
        f"+61  126 -> 187  {group_id(GETTING, Level.FUNCTION)}  [queue.get]"
        "  app/jobs.py:41 consume  grown",
        "#   Condition.wait            /usr/lib/python3.11/threading.py:327",
        "#   Queue.get                 /usr/lib/python3.11/queue.py:171",
        "#   consume                   /srv/app/jobs.py:41",
        "#   Thread.run                /usr/lib/python3.11/threading.py:982",
        "#   Thread._bootstrap_inner   /usr/lib/python3.11/threading.py:1045",
        "#   Thread._bootstrap         /usr/lib/python3.11/threading.py:1002",
        "",
        f"-2  3 -> 1  {group_id(SPINNING, Level.FUNCTION)}  [-]  app/loops.py:7 spin  shrunk",
        f"-2  2 -> 0  {group_id(timing, Level.FUNCTION)}  [-]  app/clock.py:3 tick  gone",
        "",
        "unchanged: 1 group, 30 threads",
    ]


def test_text_of_nothing():
    assert list(diff_lines(between(look(), look()))) == [
        "thread profile: 0 -> 0 (0)",
        "a.json -> a.json",
        "",
        "unchanged: 0 groups, 0 threads",
    ]


def test_hostile_text_is_made_harmless():
    evil = started(frame(HOSTILE, f"/srv/{HOSTILE}.py"))
    diff = between(look(name=HOSTILE), look(Stack(evil, 1), notes=(HOSTILE,)))
    for line in diff_lines(diff):
        assert line.isprintable()
