"""The incident report in Markdown, as a reader of Markdown takes it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from markdown_it import MarkdownIt

from leakscope.diffing import Look, Stack, difference
from leakscope.leaks import Cause
from leakscope.limits import Deadline, Limit, ThreadCost
from leakscope.policy import Trend, Verdict
from leakscope.renderers.diff_markdown import lines as diff_lines
from leakscope.renderers.markdown import TOP_GROUPS, code, escaped, fenced, lines, prose
from leakscope.renderers.text import TOP_MEMBERS
from leakscope.report import Kind, Member, Overall
from leakscope.stacks import Level
from tests.builders import (
    THE_LEAK,
    WATCH,
    frame,
    group,
    hostile_report,
    leak,
    nothing,
    report,
    started,
    target,
)
from tests.hostile import EVIL

READER = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table")

# Text as someone might call a thread who wants more than to be read.
TRAPS = [
    "<script>alert(1)</script>",
    "[click](https://example.org)",
    "![](https://example.org/pixel.png)",
    "`` ` ```",
    "| one | two |",
    "# heading",
    "**bold** _em_ ~~gone~~",
    "&lt;b&gt;",
    "@everyone",
    "https://example.org",
    "a\n\n# b",
    "\\",
]


def kinds(markdown: str) -> set[str]:
    """The kinds of markup that a reader finds."""
    found = set()
    for token in READER.parse(markdown):
        for one in (token, *(token.children or ())):
            found.add(one.type)
    return found


def shown(markdown: str) -> str:
    """The text that a reader shows."""
    return "".join(
        one.content
        for token in READER.parse(markdown)
        for one in token.children or ()
        if one.type in ("text", "code_inline", "text_special")
    )


def test_an_incident_report():
    text = "\n".join(lines(replace(WATCH, made_by=("leakscope", "watch", "4711"))))
    assert text.startswith(
        "# LEAKING: 1 leak in process 4711 (python app.py), 61.0 threads a minute\n"
    )
    for heading in ("## Timeline", "## Leak 1: 187 threads, 61.0 more a minute"):
        assert heading in text
    assert "- Not one thread of this stack has ended." in text
    assert "#   Queue.get                 /usr/lib/python3.11/queue.py:171" in text
    assert text.endswith("Made by `leakscope watch 4711`.")
    assert kinds(text) >= {"heading_open", "table_open", "fence", "bullet_list_open"}


def test_of_several_processes_those_that_leak_come_first():
    several = tuple(
        Member(target(pid=pid, command=("python", f"a|{pid}.py")), 3, 3, verdict)
        for pid, verdict in ((4711, Overall.CLEAN), (4712, Overall.LEAKING))
    )
    made = replace(WATCH, several=several, targets=tuple(one.target for one in several))
    text = "\n".join(lines(made))
    assert "- Processes: 2" in text
    rows = [line for line in text.splitlines() if line.startswith("| 471")]
    assert rows == [
        "| 4712 | 3 | leaking | 61 min | `python a\\|4712.py` |",
        "| 4711 | 3 | clean | 61 min | `python a\\|4711.py` |",
    ]


def test_a_leak_is_told_with_the_whole_path():
    text = "\n".join(lines(WATCH))
    assert "- Where: `/srv/app/jobs.py:41 consume`, queue.get" in text
    assert "- Started in: `/srv/app/jobs.py:41 consume`" in text


def test_one_look_shows_stacks():
    text = "\n".join(lines(replace(WATCH, kind=Kind.DUMP, leaks=())))
    assert "### 187 threads: `app/jobs.py:41 consume`" in text
    assert "## Timeline" not in text


def test_a_leak_has_its_cause_and_the_report_its_limit_and_its_cost():
    cause = Cause("x", False, "Nobody ends `consume`.", "End them.")
    deadline = Deadline(Limit("pids.max 2048", 410, 2048, 1.0), 3276.0, 2900.0, 3700.0)
    leaks = (replace(THE_LEAK, cause=cause),)
    made = replace(WATCH, leaks=leaks, deadline=deadline, thread_cost=ThreadCost(20480.0, 2.0))
    text = "\n".join(lines(made))
    assert "- Limit: pids.max 2048 in 55 min, between 48 min and 62 min\n" in text
    assert "- Cost: each new thread took 20 KiB and 2.0 descriptors\n" in text
    assert "- Why: Nobody ends `consume`.\n- Cure: End them.\n" in text


def test_what_grows_is_told_with_what_is_known_of_it():
    verdict = Verdict(Trend.GROWING, ("No thread of it has `ended` yet.",))
    growing = group(9, started(frame("fetch")), verdict=verdict)
    text = "\n".join(lines(report(growing, verdict=Overall.GROWING)))
    assert "## What grows, and is not proven to leak\n\n- 9 threads in" in text
    assert "\n  - No thread of it has `ended` yet.\n" in text


def test_of_many_processes_and_groups_the_rest_is_counted():
    groups = [group(3, started(frame(f"f{n}"))) for n in range(TOP_GROUPS + 2)]
    members = [Member(target(pid=n), 3, 3, Overall.CLEAN) for n in range(1, TOP_MEMBERS + 4)]
    text = "\n".join(lines(report(*groups, several=tuple(members))))
    assert "\nand 2 more groups" in text
    assert "\nand 3 more\n" in text


def test_a_leak_whose_stack_was_not_read_began_nowhere():
    unread = group(9, (), Trend.LEAKING)
    text = "\n".join(lines(report(unread, leaks=(leak(unread),))))
    assert "- Started in:" not in text


def test_where_nothing_was_seen_nothing_is_told():
    text = "\n".join(lines(nothing()))
    assert "Threads" not in text
    assert "## " not in text


@pytest.mark.parametrize("trap", TRAPS)
def test_text_stays_text(trap):
    assert kinds(escaped(trap)) <= {
        "paragraph_open", "paragraph_close", "inline", "text", "text_special",
        "html_inline",  # the empty comment
    }  # fmt: skip
    assert "<script" not in READER.render(escaped(trap))
    assert kinds(code(trap)) == {"paragraph_open", "paragraph_close", "inline", "code_inline"}


@pytest.mark.parametrize("trap", TRAPS)
def test_prose_has_code_and_nothing_else(trap):
    assert kinds(prose(f"Call `queue.get` {trap}")) <= {
        "paragraph_open", "paragraph_close", "inline", "text", "text_special", "code_inline",
        "html_inline",  # the empty comment
    }  # fmt: skip
    assert prose("`get` of a_b") == "`get` of a_b"


@pytest.mark.parametrize("trap", ["<b>", "[a](b)", "`", "a|b", "_a_", "*a*", "&amp;", "# a"])
def test_what_is_escaped_reads_as_it_was(trap):
    assert shown(escaped(trap)) == trap
    assert shown(code(trap)) == trap


def test_no_line_ends_a_block_of_code():
    (block,) = READER.parse("\n".join(fenced(["```", "````text", "~~~"])))
    assert block.content == "```\n````text\n~~~\n"


def test_a_comparison():
    frames = started(frame("consume", "/srv/app/jobs.py", 41))
    before, after = Look("a.json", ()), Look("b|.json", (Stack(frames, 9),))
    text = "\n".join(diff_lines(difference(before, after, Level.FUNCTION)))
    assert text.startswith("# Threads: 0 before, 9 after (+9)\n\n- Before: `a.json`\n")
    assert "| +9 | 0 | 9 | new |" in text
    assert "## +9 threads: `app/jobs.py:41 consume`" in text
    assert kinds(text) >= {"heading_open", "table_open", "fence", "bullet_list_open"}


@given(text=EVIL)
def test_nothing_of_the_target_becomes_markup(text):
    made = "\n".join(lines(hostile_report(text)))
    usual = kinds("\n".join(lines(hostile_report("app"))))
    assert kinds(made) - usual <= {"text_special", "html_inline"}
    comments = [
        one.content
        for token in READER.parse(made)
        for one in token.children or ()
        if one.type == "html_inline"
    ]
    assert set(comments) <= {"<!-- -->"}
