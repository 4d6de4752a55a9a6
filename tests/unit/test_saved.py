"""Saved looks of each form, whole, packed, spoilt: a look, or one clear error."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leakscope.changes import Differ
from leakscope.diffing import Look
from leakscope.errors import UsageProblem
from leakscope.model import Frames, Missed, RunState, Snapshot, Target, ThreadSample
from leakscope.sources.saved import documents, read_saved
from leakscope.stacks import Level
from leakscope.tape import Encoder, End, Head
from leakscope.wire import encode, report_document, start_document
from tests.builders import LEAKING, POOL, frame, getting, group, key, report, started

GETTING = getting()
SPINNING = started(frame("spin", "/srv/app/loops.py", 7))
STACKS = [GETTING, GETTING, SPINNING]


def dumped(stacks: list[Frames]) -> list[dict[str, Any]]:
    """What `py-spy dump --json` prints of threads in these stacks."""
    return [
        {
            "pid": 1,
            "thread_id": 1000 + number,
            "thread_name": f"t-{number}",
            "os_thread_id": 100 + number,
            "active": False,
            "owns_gil": False,
            "frames": [
                {"name": f.function, "filename": f.filename, "line": f.line} for f in frames
            ],
        }
        for number, frames in enumerate(stacks)
    ]


def pyspy_json(stacks: list[Frames]) -> str:
    return json.dumps(dumped(stacks), indent=2)


def pyspy_text(stacks: list[Frames]) -> str:
    lines = ["Process 1: python app.py", "Python v3.11.7 (/usr/bin/python3.11)", ""]
    for number, frames in enumerate(stacks):
        lines.append(f'Thread {100 + number} (idle): "t-{number}"')
        lines += [f"    {f.function} ({f.filename}:{f.line})" for f in frames]
    return "\n".join(lines) + "\n"


def samples(stacks: list[Frames]) -> str:
    """The form of the corpus: first all in one stack, then as said."""
    looks = [[GETTING] * 5, stacks]
    lines = [{"t": 100.0 + t, "dur": 0.1, "threads": dumped(now)} for t, now in enumerate(looks)]
    return "".join(json.dumps(line) + "\n" for line in lines)


def samples_with_facts(stacks: list[Frames]) -> str:
    head = {"clk_tck": 100, "boot_time": 50.0, "pid": 1, "python": "3.11.7"}
    tasks = {str(100 + n): [7, "S", 1, 2, 3, 202, "futex_do_wait"] for n in range(len(stacks))}
    last = {"t": 100.0, "dur": 0.1, "threads": dumped(stacks), "tasks": tasks}
    lines = [head, last, {"t": 101.0, "error": "no", "tasks": tasks}]
    return "".join(json.dumps(line) + "\n" for line in lines)


def recording(stacks: list[Frames]) -> str:
    """Threads that move, end and begin."""

    def snapshot(at: float, now: list[Frames], first: int) -> Snapshot:
        threads = (
            ThreadSample(key(first + n), f"t-{n}", frames, RunState.BLOCKED)
            for n, frames in enumerate(now)
        )
        return Snapshot(at, at, tuple(threads))

    encoder, differ = Encoder(), Differ()
    looks = [snapshot(0.0, [SPINNING] * 4, 0), snapshot(1.0, stacks, 2)]
    lines = [
        encoder.head(Head(Target(1), 1.0)),
        *(encoder.look(differ.changes(look)) for look in looks),
        encoder.look(Missed(2.0, 2.0, "gone")),
        encoder.end(End("count")),
    ]
    return "".join(line + "\n" for line in lines)


def reported(stacks: list[Frames]) -> str:
    sizes = {frames: stacks.count(frames) for frames in stacks}
    made = report(*(group(size, frames) for frames, size in sizes.items()))
    return encode(report_document(made))


def watched(stacks: list[Frames]) -> str:
    start = encode(start_document([Target(1)], at=0.0, interval_s=1.0))
    return f"{start}\n{reported([GETTING])}\n{reported(stacks)}\n"


def through_jq(stacks: list[Frames]) -> str:
    return "".join(json.dumps(json.loads(x), indent=2) + "\n" for x in watched(stacks).splitlines())


FORMS: dict[str, Callable[[list[Frames]], str]] = {
    form.__name__: form
    for form in (
        pyspy_json,
        pyspy_text,
        samples,
        samples_with_facts,
        recording,
        reported,
        watched,
        through_jq,
    )
}


def counts(look: Look) -> dict[Frames, int]:
    return {stack.frames: stack.size for stack in look.stacks}


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[str | bytes], str]:
    def save(content: str | bytes) -> str:
        path = tmp_path / "saved"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return save


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("form", FORMS)
def test_each_form_packed_or_not(form, pack, saved):
    look = read_saved(saved(pack(FORMS[form](STACKS).encode())))
    assert counts(look) == {GETTING: 2, SPINNING: 1}
    assert look.is_whole, "all file names are absolute, as of --full-filenames"
    by_function = form in ("reported", "watched", "through_jq")
    assert look.level is (Level.FUNCTION if by_function else Level.LINE)
    assert look.notes == ()


@pytest.mark.parametrize("form", FORMS)
def test_standard_input(form, monkeypatch):
    content = io.BytesIO(gzip.compress(FORMS[form](STACKS).encode()))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=content))
    look = read_saved("-")
    assert look.name == "standard input"
    assert counts(look) == {GETTING: 2, SPINNING: 1}


@pytest.mark.parametrize("form", FORMS)
def test_pipe_that_one_cannot_go_back_in(form, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(FORMS[form](STACKS),))
    writer.start()
    look = read_saved(str(pipe))
    writer.join()
    assert counts(look) == {GETTING: 2, SPINNING: 1}


def test_text_has_short_names(saved):
    short = [tuple(f._replace(filename="jobs.py") for f in frames) for frames in STACKS]
    assert not read_saved(saved(pyspy_text(short))).is_whole
    # The file of one frame was not there, so that py-spy could not shorten its name.
    mixed = [*short, SPINNING]
    assert not read_saved(saved(pyspy_text(mixed))).is_whole


def test_only_groups_of_the_level_that_was_shown(saved):
    entries = group(12, level=Level.ENTRY)
    look = read_saved(saved(encode(report_document(report(entries, LEAKING, level=Level.ENTRY)))))
    assert (counts(look), look.level) == ({GETTING: 12}, Level.ENTRY)


def test_groups_that_are_empty_now_are_not_there(saved):
    empty = group(members=(), frames=SPINNING)
    look = read_saved(saved(encode(report_document(report(POOL, empty)))))
    assert counts(look) == {POOL.frames: 8}


def test_recording_that_was_cut_off(saved):
    look = read_saved(saved(recording(STACKS) + '{"t": 1'))
    assert counts(look) == {GETTING: 2, SPINNING: 1}
    assert "line 6" in look.notes[0]


def test_bom(saved):
    assert counts(read_saved(saved("\ufeff" + pyspy_json(STACKS)))) == {GETTING: 2, SPINNING: 1}


REPORT = json.loads(reported(STACKS))


def spoilt(**changes: Any) -> str:
    return json.dumps(REPORT | changes)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "line 1: empty"),
        ("hello", "line 1: neither JSON nor"),
        ("thread profile: total 3\n", "line 1: leakscope's text is for reading"),
        ("[\n1]", "line 1: a thread is not as py-spy gives it"),
        ("[\n\n", "line 3: not JSON"),
        ("{}", "line 1: neither a report"),
        ('{"type": "start"}', "no dump and no summary"),
        ('{"type":\n "start"}\n\n{"type": 4', "line 4: not JSON"),
        ('{"type":\n "start"}\n\n7', "line 4: neither a report"),
        ("[" * 100_000, "line 1: not JSON"),
        ("[" + "9" * 5000 + "]", "line 1: not JSON"),
        (spoilt(schema_version="2.0"), "its version is 2.0"),
        (spoilt(level="moon"), "'moon'"),
        (spoilt(groups=7), "line 1: not a report"),
        (spoilt(groups=[7]), "line 1: not a report"),
        (spoilt(groups=[REPORT["groups"][0] | {"count": -1}]), "-1 is negative"),
        (spoilt(groups=[REPORT["groups"][0] | {"count": float("inf")}]), "Infinity is not"),
        (spoilt(groups=[REPORT["groups"][0] | {"frames": [{}]}]), "line 1: not a report"),
        ('{"t": 1, "error": "no"}', "no sample in it has succeeded"),
        ('{"t": 1, "threads": 7}', "line 1: not a list"),
        ('{"t": 1, "threads": [], "tasks": [1]}', "line 1: not a sample"),
        ('{"leakscope_recording": 99}', "line 1: a recording of form 99"),
        ('Thread 1 (idle)\n    f (a.py:1)\nhm', "line 3: not a line of py-spy's text"),
        (b"\x1f\x8bnot gzip", "not sound gzip"),
        (gzip.compress(pyspy_json(STACKS).encode())[:-20], "not sound gzip"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(content, says, saved):
    path = saved(content)
    with pytest.raises(UsageProblem) as caught:
        read_saved(path)
    assert path in str(caught.value)
    assert says in str(caught.value)
    assert caught.value.exit_code == 2


def test_files_that_cannot_be_opened(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(UsageProblem, match="cannot read"):
            read_saved(str(path))


VALUES = [b"null", b"-1", b'"x"', b"[]", b"{}", b"1e999", b"NaN", b"\xff", b"\n", b"0", b"", b"[[["]
ORIGINALS = [FORMS[form](STACKS).encode() for form in sorted(FORMS)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_spoilt_files_are_read_or_refused(saved, data):
    content = data.draw(st.sampled_from(ORIGINALS))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content)))
        length = data.draw(st.integers(0, 8))
        content = content[:at] + data.draw(st.sampled_from(VALUES)) + content[at + length :]
    read_or_refused(saved(content))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary() | st.text().map(str.encode))
def test_junk_is_refused(saved, content):
    read_or_refused(saved(content))
    read_or_refused(saved(gzip.compress(content)))


def spots(value: Any) -> list[tuple[Any, Any]]:
    """Every place within a JSON value, as its container and key."""
    inside = (
        value.items() if isinstance(value, dict) else
        enumerate(value) if isinstance(value, list) else ()
    )  # fmt: skip
    return [spot for name, part in inside for spot in [(value, name), *spots(part)]]


JUNK = st.sampled_from(
    [None, -1, 0, 1, 99, 0.5, 1e308, "x", "", "\ud800", True, [], {}, [1], {"a": 1}]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from([f for f in sorted(FORMS) if f not in ("pyspy_text", "through_jq")]), st.data()
)
def test_wrong_values_are_read_or_refused(saved, form, data):
    content = FORMS[form](STACKS)
    lines = [json.loads(x) for x in ([content] if form == "pyspy_json" else content.splitlines())]
    for _ in range(data.draw(st.integers(1, 3))):
        container, name = data.draw(st.sampled_from(spots(lines)))
        container[name] = data.draw(JUNK)
    read_or_refused(saved("".join(json.dumps(line) + "\n" for line in lines)))


def read_or_refused(path: str) -> None:
    try:
        look = read_saved(path)
    except UsageProblem as error:
        assert "saved" in str(error)  # noqa: PT017 - both ways are right
    else:
        assert all(stack.size > 0 for stack in look.stacks)


def test_what_no_more_text_can_mend_is_said_at_once():
    """Not when 64 MiB of what follows have been read, as of a log that begins with a brace."""
    lines = itertools.chain([(1, b"{bad\n")], ((n, b"INFO\n") for n in itertools.count(2)))
    with pytest.raises(ValueError, match="not JSON: Expecting property name"):
        list(documents(lines))
    assert next(lines) == (2, b"INFO\n")
