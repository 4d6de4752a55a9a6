"""Spoilt files of every form through all of replay and diff: judged, or refused in one line.

What is spoilt is sound first, and then a few places of it are put wrong: that reaches deeper than
random bytes, which the first check refuses. `make test` tries the same few hundred each time,
`make acceptance` ten thousand new ones of each kind.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from leakscope.changes import Differ
from leakscope.commands.diff import compared
from leakscope.commands.replay import replay
from leakscope.dumps import BadDump, parse_dump
from leakscope.engine import View
from leakscope.errors import UsageProblem
from leakscope.limits import Limit, Resources, Usage
from leakscope.model import Missed, Target
from leakscope.renderers.diff_text import lines as diff_lines
from leakscope.renderers.live.state import Page, Setting, ViewState
from leakscope.renderers.live.view import view
from leakscope.renderers.text import dump_lines, report_lines
from leakscope.stacks import Level
from leakscope.tape import Encoder, End, Head
from leakscope.variables import variables_of_group
from leakscope.wire import diff_document, encode, report_document
from tests.documents import checked
from tests.samples import PID, every, lives, pool, series
from tests.unit.test_saved import FORMS, STACKS


def of_a_leak() -> str:
    """A recording in which something leaks towards a limit, so that every rule has its say."""
    encoder, differ = Encoder(), Differ()
    head = Head(Target(PID, 1.7e9, ("python", "app.py"), "3.11.7", -3600.0), 1.0)
    lines = [encoder.head(head)]
    threads = [*pool(4), *lives(every(2.0, begin_s=0.0, end_s=90.0), first=100)]
    for at, sample in enumerate(series(threads, until_s=90.0, interval_s=5.0, without=[3])):
        lines.append(encoder.look(sample if isinstance(sample, Missed) else differ.changes(sample)))
        if at % 6 == 0:
            usage = Usage(sample.elapsed_s, 10 + 3 * at, 10**8 + at * 10**6, 20 + at)
            limits = (Limit("pids.max", 10 + at, 1000, 1.0), Limit("memory.max", 10, 10**9, 0.0))
            lines.append(encoder.look(Resources(usage, limits)))
    return "".join(f"{line}\n" for line in (*lines, encoder.end(End("count"))))


WHOLE = {form: make(STACKS) for form, make in FORMS.items()} | {"leak": of_a_leak()}
# Those of which each line is a JSON value.
STRUCTURED = sorted(WHOLE.keys() - {"pyspy_text", "through_jq"})

# Stands for a nesting that no test could build as a value; put in as text.
DEEP = "@deep@"
WRONG = st.sampled_from(
    [
        None, True, False, -1, 0, 1, 7, 0.5, -0.0, 1e18, 1e308, -1e308, float("nan"), float("inf"),
        2**31, 2**63, 2**64, -(2**64), 10**30, 10**400, -(10**4200),
        "", "x", "\ud800", "\x00", "\x1b[2J", "\u202e", "\ufeff", "1e5", "9" * 5000, "x" * 9000,
        [], {}, [1], {"a": 1}, [[[[1]]]], DEEP,
    ]
)  # fmt: skip


def spot(draw: Callable[..., Any], value: Any) -> tuple[Any, Any]:
    """A place within a JSON value, as its container and key; on the way down it may stop."""
    container: tuple[Any, Any] = ([None], 0)
    while isinstance(value, list | dict) and value:
        keys = sorted(value) if isinstance(value, dict) else range(len(value))
        container = (value, draw(st.sampled_from(keys)))
        if draw(st.integers(0, 7)) == 0:
            break
        value = value[container[1]]
    return container


def spoil(draw: Callable[..., Any], lines: list[Any]) -> None:
    """Put one place wrong: another value, none, the same twice, or what stands elsewhere."""
    container, key = spot(draw, lines)
    how = draw(st.sampled_from(["other", "other", "other", "gone", "twice", "moved"]))
    if how == "gone":
        del container[key]
    elif how == "twice" and isinstance(container, list):
        container.insert(key, container[key])
    elif how == "moved":
        other, place = spot(draw, lines)
        # A copy by way of text, lest a value comes to hold itself.
        container[key] = json.loads(json.dumps(other[place]))
    else:
        container[key] = json.loads(json.dumps(draw(WRONG)))


@st.composite
def spoilt_values(draw: st.DrawFn) -> bytes:
    content = WHOLE[draw(st.sampled_from([*STRUCTURED, "leak", "leak"]))]
    whole = content.startswith("[")
    lines = [json.loads(line) for line in ([content] if whole else content.splitlines())]
    for _ in range(draw(st.integers(1, 3))):
        spoil(draw, lines)
    depth = draw(st.sampled_from([300, 900, 960, 985, 995, 5000]))
    text = "".join(json.dumps(line) + "\n" for line in lines)
    return text.replace(f'"{DEEP}"', "[" * depth + "]" * depth).encode()


PIECES = [
    b"", b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\n", b'"', b"{", b"[[[", b"}",
    b"NaN", b"1e400", b"9" * 5000, b"null", b"\x1f\x8b", b"Thread 1 (idle)", b"    f (a.py:1)",
]  # fmt: skip


@st.composite
def spoilt_bytes(draw: st.DrawFn) -> bytes:
    content = WHOLE[draw(st.sampled_from(sorted(WHOLE)))].encode()
    packed = draw(st.sampled_from(["no", "before", "after"]))
    if packed == "before":
        content = gzip.compress(content)
    for _ in range(draw(st.integers(1, 3))):
        at, length = draw(st.integers(0, len(content))), draw(st.integers(0, 30))
        content = content[:at] + draw(st.sampled_from(PIECES)) + content[at + length :]
    content = content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content
    return gzip.compress(content) if packed == "after" else content


def read_by_all(path: str) -> None:
    """Replay it and compare it with itself, in all formats."""
    try:
        report, _ = replay(path, View())
    except UsageProblem as error:
        is_one_line(error, path)
    else:
        checked(encode(report_document(report)))
        list(report_lines(report))
        list(dump_lines(report))
        for page in Page:
            drawing = view(report, ViewState(page=page), Setting())
            Console(file=io.StringIO(), width=80).print(drawing)
    try:
        diff = compared(path, path, Level.FUNCTION, ())
    except UsageProblem as error:
        is_one_line(error, path)
    else:
        checked(encode(diff_document(diff)))
        list(diff_lines(diff))
        diff = replace(diff, min_growth=1)
        assert not diff.has_grown, "nothing has changed between a look and itself"


def is_one_line(error: UsageProblem, path: str) -> None:
    assert path in str(error)
    assert len(str(error).splitlines()) == 1
    assert len(str(error)) < len(path) + 250


def answers_are_read_or_refused(answer: bytes) -> None:
    """As py-spy's own answer."""
    for read in (parse_dump, lambda said: variables_of_group(said, "0" * 12)):
        try:
            read(answer)
        except BadDump as error:
            assert len(str(error)) < 250  # noqa: PT017 - both ways are right


QUICK = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LONG = settings(QUICK, max_examples=10_000, derandomize=False)
SLOW = pytest.mark.slow


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spoilt"


def fuzzed(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    read_by_all(str(path))
    answers_are_read_or_refused(content)


@QUICK
@given(content=spoilt_values())
def test_wrong_values(path, content):
    fuzzed(path, content)


@QUICK
@given(content=spoilt_bytes())
def test_wrong_bytes(path, content):
    fuzzed(path, content)


@SLOW
@LONG
@given(content=spoilt_values())
def test_wrong_values_for_long(path, content):
    fuzzed(path, content)


@SLOW
@LONG
@given(content=spoilt_bytes())
def test_wrong_bytes_for_long(path, content):
    fuzzed(path, content)


@pytest.mark.parametrize("form", sorted(WHOLE))
def test_what_is_spoilt_here_is_sound_before(form, path):
    path.write_text(WHOLE[form])
    diff = compared(str(path), str(path), Level.FUNCTION, ())
    assert diff.threads_before


def test_what_leaks_is_seen_to(path):
    path.write_text(WHOLE["leak"])
    report, lost = replay(str(path), View())
    assert (len(report.leaks), lost) == (1, None)
    assert report.deadline is not None
