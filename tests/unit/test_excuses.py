"""An --ignore-file gives a reason for each of its lines."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from leakscope.engine import Engine, View
from leakscope.errors import UsageProblem
from leakscope.excuses import excuses
from leakscope.merging import merged
from leakscope.model import Target
from leakscope.renderers.wording import verdict_sentence
from leakscope.report import EndedBy, Kind, Overall, Report
from leakscope.sources.saved import read_excuses
from tests.samples import own, run_by, snapshot, thread

LINES = """
# Known to the team.
^consume$   # one per partition, by design: JIRA-12
legacy[#]x\\.py\t# replaced in 4.0 #soon
"""


def test_each_line_is_an_expression_and_its_reason():
    found = excuses(LINES.splitlines(), "ignore.txt")
    assert [(excuse.pattern.pattern, excuse.reason) for excuse in found] == [
        ("^consume$", "one per partition, by design: JIRA-12"),
        ("legacy[#]x\\.py", "replaced in 4.0 #soon"),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("consume", "line 1: it gives no reason"),
        ("consume #", "line 1: it gives no reason"),
        ("( # why", "is not a regular expression"),
    ],
)
def test_a_line_that_will_not_do_is_named(line, said):
    with pytest.raises(UsageProblem, match=said):
        excuses([line], "ignore.txt")


def watched(view: View) -> Report:
    """What half a minute of three threads in one place comes to."""
    engine = Engine(view)
    for second in range(30):
        # One has no stack at first, as one that began just before the kernel was asked.
        threads = [thread(n, run_by(own()) if n or second else ()) for n in range(3)]
        engine.observe(snapshot(*threads, at=float(second)))
    return engine.report(Kind.SUMMARY, (), EndedBy.COUNT)


def test_where_every_group_was_left_out_nothing_is_clean():
    """No leak would have shown, of any rate."""
    assert watched(View()).verdict is Overall.CLEAN
    report = watched(View(ignore=(re.compile(".*"),)))
    assert (report.verdict, report.noticeable_per_min) == (Overall.UNKNOWN, None)
    said = verdict_sentence(report)
    assert said == "unknown: nothing was judged, since every group was left out (30 samples)"


def test_of_several_it_is_said_of_which_every_group_was_left_out():
    bare, hidden = (
        replace(watched(View(ignore=ignore)), targets=(Target(pid),))
        for pid, ignore in ((1, ()), (2, (re.compile(".*"),)))
    )
    both = merged([bare, hidden], None, {})
    assert both.verdict is Overall.CLEAN
    assert "process 2: not judged, since every group was left out" in both.not_seen


def test_a_mark_of_an_editor_is_no_part_of_the_first_line(tmp_path):
    (tmp_path / "ignore.txt").write_text("^consume$ # by design\n", encoding="utf-8-sig")
    (excuse,) = read_excuses(str(tmp_path / "ignore.txt"))
    assert excuse.pattern.pattern == "^consume$"


def test_what_was_left_out_is_said_with_the_reason():
    view = View(excuses=excuses(LINES.splitlines(), "ignore.txt"))
    report = watched(view)
    assert not any(group.size for group in report.groups)
    expected = (
        "ignored: 3 threads in 1 group, as --ignore-file asks: "
        "one per partition, by design: JIRA-12"
    )
    assert expected in report.not_seen
