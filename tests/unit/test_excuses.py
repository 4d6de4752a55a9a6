"""An --ignore-file gives a reason for each of its lines."""

from __future__ import annotations

import pytest

from leakscope.engine import Engine, View
from leakscope.errors import UsageProblem
from leakscope.excuses import excuses
from leakscope.report import EndedBy, Kind
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


def test_what_was_left_out_is_said_with_the_reason():
    view = View(excuses=excuses(LINES.splitlines(), "ignore.txt"))
    engine = Engine(view)
    engine.observe(snapshot(*(thread(n, run_by(own())) for n in range(3))))
    report = engine.report(Kind.SUMMARY, (), EndedBy.COUNT)
    assert report.groups == ()
    expected = (
        "ignored: 3 threads in 1 group, as --ignore-file asks: "
        "one per partition, by design: JIRA-12"
    )
    assert expected in report.not_seen
