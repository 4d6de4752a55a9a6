"""Whatever the target calls its threads, code and arguments: no line of ours can be steered by it.

Property tests over all that prints; tests/integration/test_hostile.py has the real thing.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from rich.console import Console

from leakscope.cli import _say
from leakscope.commands.debug_log import step_line
from leakscope.diffing import Diff, Look, Stack, difference
from leakscope.errors import UsageProblem
from leakscope.model import Frame
from leakscope.policy import Trend
from leakscope.processes import ProcessFacts
from leakscope.renderers.diff_markdown import lines as diff_markdown_lines
from leakscope.renderers.diff_text import lines as diff_lines
from leakscope.renderers.live.state import Page, Setting, ViewState
from leakscope.renderers.live.view import view
from leakscope.renderers.markdown import lines as markdown_lines
from leakscope.renderers.process_text import process_lines
from leakscope.renderers.terminal import colored
from leakscope.renderers.text import change_line, dump_lines, report_lines
from leakscope.renderers.variables_text import variables_lines
from leakscope.stacks import Level
from leakscope.variables import FrameVariables, ThreadVariables, Variable
from leakscope.wire import diff_document, encode, processes_document, report_document
from tests.builders import frame, hostile_report, started
from tests.hostile import EVIL, HOSTILE, harmful
from tests.running import leakscope_cli


def _hostile_diff(text: str) -> Diff:
    evil = Stack(started(frame(text, f"/srv/{text}/{text}.py")), 9)
    before, after = Look(text, ()), Look(text, (evil,), notes=(text,))
    return difference(before, after, Level.FUNCTION)


def _variables(text: str) -> Iterable[str]:
    variables = (Variable(text, text, True),)
    return variables_lines(
        [ThreadVariables(1, text, (FrameVariables(Frame(text, text, 3), variables),))]
    )


def _processes(text: str) -> Iterable[str]:
    return process_lines([ProcessFacts(1, text, 2, 3.0, (text, text), text)])


def _live(text: str) -> Iterable[str]:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, legacy_windows=False)
    for page in Page:
        state = ViewState(width=120, height=40, page=page, message=text, filter=text)
        console.print(view(hostile_report(text), state, Setting()))
    file = console.file
    assert isinstance(file, io.StringIO)
    return [file.getvalue().rstrip("\n").replace("\n", " ")]


def _log(text: str) -> Iterable[str]:
    return [step_line(1.0, text)]


LINES: dict[str, Callable[[str], Iterable[str]]] = {
    "report": lambda text: report_lines(hostile_report(text)),
    "dump": lambda text: dump_lines(hostile_report(text)),
    "markdown": lambda text: markdown_lines(hostile_report(text)),
    "change": lambda text: [
        change_line(1.0, hostile_report(text).groups[0], Trend.STEADY, Trend.LEAKING)
    ],
    "diff": lambda text: diff_lines(_hostile_diff(text)),
    "diff in Markdown": lambda text: diff_markdown_lines(_hostile_diff(text)),
    "variables": _variables,
    "processes": _processes,
    "live": _live,
    "log": _log,
}


@pytest.mark.parametrize("what", LINES)
@given(text=EVIL)
def test_no_line_can_be_steered(what, text):
    for line in LINES[what](text):
        assert not harmful(line)
        assert len(line.splitlines()) <= 1


@pytest.mark.parametrize("what", LINES)
@given(text=EVIL)
def test_no_coloured_line_can_be_steered(what, text):
    for line in colored(LINES[what](text)):
        assert not harmful(line)
        assert line.count("\x1b[") <= 2 or what == "live", "a colour and its end"


@given(text=EVIL)
def test_an_error_is_a_line_and_its_advice(text):
    with pytest.MonkeyPatch.context() as patch:
        said = io.StringIO()
        patch.setattr(sys, "stderr", said)
        _say(UsageProblem(f"cannot read {text}", f"Ask {text}."))
    first, *advice = said.getvalue().split("\n")[:-1]
    assert first.startswith("leakscope: cannot read ")
    assert all(line.startswith("  ") for line in advice)
    assert not harmful(said.getvalue())


@given(text=EVIL)
def test_json_has_it_whole(text):
    # But for two halves of a character that stand side by side: in JSON they are that character.
    text = json.loads(json.dumps(text))
    report = encode(report_document(hostile_report(text)))
    assert report.isascii()
    document = json.loads(report)
    assert document["targets"][0]["command"] == [text, text]
    (group,) = document["groups"]
    assert group["threads"][0]["name"] == text
    assert group["frames"][0]["function"] == text
    assert group["frames"][0]["filename"] == f"/srv/{text}/{text}.py"
    listed = json.loads(encode(processes_document([ProcessFacts(1, text, 2, 3.0, (text,), text)])))
    assert listed["processes"][0]["command"] == [text]
    evil = Stack(started(frame(text)), 9)
    looks = Look(text, ()), Look(text, (evil,))
    compared = encode(diff_document(difference(*looks, Level.FUNCTION)))
    assert json.loads(compared)["changes"][0]["frames"][0]["function"] == text


@pytest.mark.parametrize("name", sorted(HOSTILE.keys() - {"tab", "long"}))  # no NUL, 255 bytes
@pytest.mark.parametrize("command", ["replay", "diff"])
def test_files_that_are_called_so(name, command, tmp_path):
    """Missing, a directory, junk; and as an option."""
    missing = tmp_path / HOSTILE[name].replace("/", "_")
    folder, junk = missing.with_name(missing.name + ".d"), missing.with_name(missing.name + ".f")
    folder.mkdir()
    junk.write_text("junk")
    for path in (str(missing), str(folder), str(junk), f"--{HOSTILE[name]}"):
        args = (path, path) if command == "diff" else (path,)
        done: subprocess.CompletedProcess[str] = leakscope_cli(command, *args)
        assert done.returncode == 2
        assert not harmful(done.stderr)
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
