"""Local variables: only of the group that was asked for, and nothing of them raw."""

from __future__ import annotations

import json

import pytest

from leakscope.dumps import BadDump
from leakscope.model import Frame
from leakscope.renderers.variables_text import variables_lines
from leakscope.stacks import Level, group_id
from leakscope.variables import variables_of_group

GROUP = group_id((Frame("consume", "/srv/app/jobs.py", 41),), Level.FUNCTION)


def dumped(function="consume", tid=7, local=None):
    local = {"name": "jobs", "addr": 1, "arg": True, "repr": "<Queue>"} if local is None else local
    frame = {"name": function, "filename": "/srv/app/jobs.py", "line": 41, "locals": [local]}
    return {
        "pid": 1,
        "thread_id": tid,
        "os_thread_id": tid,
        "thread_name": "worker",
        "active": False,
        "owns_gil": False,
        "frames": [frame],
    }


def lines_of(*threads):
    return list(variables_lines(variables_of_group(json.dumps(threads), GROUP)))


def test_only_the_group_that_was_asked_for():
    assert lines_of(dumped(), dumped("other", 8)) == [
        'thread 7 "worker"',
        "#   consume   /srv/app/jobs.py:41",
        "      argument  jobs = <Queue>",
        "",
    ]


def test_a_value_cannot_reach_the_terminal_raw():
    hostile = {"name": "x", "addr": 1, "arg": False, "repr": "\x1b]0;owned\x07\nnext"}
    assert lines_of(dumped(local=hostile))[2] == r"      local  x = \x1b]0;owned\x07\nnext"


@pytest.mark.parametrize("text", ["", "[", "{}", json.dumps([dumped(local={"name": "x"})])])
def test_what_is_no_dump(text):
    with pytest.raises(BadDump):
        variables_of_group(text, GROUP)
