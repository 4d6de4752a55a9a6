"""The JSON keeps to its schema, whatever the values, and says null for what is unknown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from leakscope import __version__
from leakscope.checkup import Check, Checkup, Status
from leakscope.diffing import Change, ChangeKind, Diff
from leakscope.facts import Point, Stay
from leakscope.leaks import Leak
from leakscope.model import NOT_KNOWN, Frame, Missed, RunState, Target, ThreadKey
from leakscope.policy import LEAKS, Trend, Verdict
from leakscope.processes import ProcessFacts
from leakscope.report import EndedBy, Group, Kind, Overall, Report
from leakscope.stacks import Level
from leakscope.wire import (
    SCHEMA_VERSION,
    change_document,
    diff_document,
    doctor_document,
    encode,
    leak_document,
    missed_document,
    processes_document,
    report_document,
    sample_document,
    schema,
    start_document,
)
from tests import builders

QUEUE_GET = Frame("Queue.get", "/usr/lib/python3.11/queue.py", 171)
CONSUME = Frame("consume", "/srv/app/jobs.py", 41)
FRAMES = (QUEUE_GET, CONSUME)
NOON = 1772366400.25  # 2026-03-01T12:00:00.250Z

# Terminal escapes, right-to-left text, the end of a line, JSON's own signs, half a character.
HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07",
    "\u202egnp.exe",
    "a\nb\u2028c\x85",
    '"},{\\',
    "\udc80",
    "\x7f",
)


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(schema())


def decoded(document: dict[str, Any]) -> Any:
    """What a reader gets out of a document, after it was found to keep to the schema."""
    line = encode(document)
    assert line.isascii()
    assert "\n" not in line
    assert line.startswith('{"type":"')
    read = json.loads(line, parse_constant=pytest.fail)
    validator().validate(read)
    return read


def stay(tid: int | None = 28930, **changes: Any) -> Stay:
    handle = 140_000_000 if tid is None else None
    blank = Stay(
        key=ThreadKey(1, tid, None if tid is None else 700, handle),
        name="worker-1",
        began_s=-200.0,
        born_s=-200.0,
        from_start=True,
        visits=1,
        looks=60,
        ran_looks=0,
        mean_rest_s=0.0,
        rest_spread_s=0.0,
        last_ran_s=None,
        state=RunState.BLOCKED,
        running_share=0.0,
        waiting_share=1.0,
        cpu_ticks=0,
        wait="queue.get",
        parking=NOT_KNOWN,
        frames=FRAMES,
    )
    return blank._replace(**changes)


def group(*stays: Stay, **changes: Any) -> Group:
    blank = Group(
        id="3f9c1a2b77e0",
        level=Level.FUNCTION,
        verdict=Verdict(Trend.STEADY),
        frames=FRAMES,
        site=CONSUME,
        entry=CONSUME,
        wait="queue.get",
        blocked=len(stays),
        running=0,
        unknown=0,
        first=len(stays),
        peak=len(stays),
        arrived=0,
        departed=0,
        born=0,
        ended=0,
        points=(Point(0.0, len(stays)),),
        stays=stays,
    )
    return replace(blank, **changes)


def leak(*keys: ThreadKey, **changes: Any) -> Leak:
    blank = Leak(
        id="3f9c1a2b77e0",
        trend=Trend.LEAKING,
        groups=("3f9c1a2b77e0",),
        leaked=keys,
        rate_per_min=61.0,
        rate_basis="watched",
        wait="queue.get",
        frames=FRAMES,
        evidence=("Not one thread of this stack has ended.",),
    )
    return replace(blank, **changes)


def report(**changes: Any) -> Report:
    blank = Report(
        kind=Kind.SUMMARY,
        targets=(Target(1, NOON - 600, ("python", "app.py"), "3.11.7", -600.0),),
        began_at=NOON,
        ended_at=NOON + 60,
        ended_by=EndedBy.DURATION,
        observed_s=60.0,
        interval_s=1.0,
        samples=60,
        missed=0,
        tries=61,
        threads=214,
        os_threads=220,
        level=Level.FUNCTION,
        verdict=Overall.CLEAN,
        noticeable_per_min=8.0,
        not_seen=(),
        leaks=(),
        groups=(),
        total_points=(),
        now_s=60.0,
    )
    return replace(blank, **changes)


# --- the schema itself ----------------------------------------------------------------------------


def objects_in(part: Any) -> Iterator[dict[str, Any]]:
    """Every part of a schema that lists properties."""
    if isinstance(part, dict):
        if isinstance(part.get("properties"), dict):
            yield part
        for inner in part.values():
            yield from objects_in(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from objects_in(inner)


def test_schema_is_a_valid_schema():
    Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_schema_describes_and_requires_every_key():
    for part in objects_in(schema()):
        assert part["properties"].keys() == set(part["required"])
        for name, stated in part["properties"].items():
            assert stated.get("description"), name
            if name.endswith("_s"):
                assert "seconds" in stated["description"], name
            if name.endswith("_per_min"):
                assert "per minute" in stated["description"], name
            if name.endswith("_at"):
                assert "ISO 8601, UTC" in stated["description"], name


def test_schema_knows_every_verdict_level_and_state():
    parts = schema()["$defs"]
    assert set(parts["group"]["properties"]["verdict"]["enum"]) == set(Trend)
    assert set(parts["leak"]["properties"]["verdict"]["enum"]) == set(LEAKS)
    assert set(parts["report"]["properties"]["verdict"]["enum"]) == set(Overall)
    assert set(parts["report"]["properties"]["level"]["enum"]) == set(Level)
    assert set(parts["report"]["properties"]["type"]["enum"]) == set(Kind)
    assert set(parts["report"]["properties"]["ended_by"]["examples"]) == set(EndedBy)
    assert set(parts["thread"]["properties"]["state"]["enum"]) == set(RunState)
    assert set(parts["difference"]["properties"]["kind"]["enum"]) == set(ChangeKind)
    assert set(parts["diff"]["properties"]["level"]["enum"]) == set(Level)


def test_unknown_keys_are_accepted_and_missing_ones_are_not():
    document = decoded(report_document(report(groups=(group(stay()),))))
    document["new"] = document["groups"][0]["new"] = 1
    validator().validate(document)
    del document["groups"][0]["wait"]
    assert not validator().is_valid(document)


# --- reports --------------------------------------------------------------------------------------


def test_report_has_the_shape_of_the_issue():
    keys = [ThreadKey(1, 28930, 700), ThreadKey(1, None, None, 5)]
    leaking = Verdict(Trend.LEAKING, ("They stay.",), tuple(keys), (), 61.004, "watched")
    read = decoded(
        report_document(
            report(
                verdict=Overall.LEAKING,
                leaks=(leak(*keys),),
                groups=(group(stay(born_s=-152.4), verdict=leaking, first=126),),
            )
        )
    )
    site = {"function": "consume", "filename": "/srv/app/jobs.py", "line": 41}
    assert (read["type"], read["schema_version"]) == ("summary", SCHEMA_VERSION)
    assert read["leakscope"] == __version__
    assert read["targets"] == [
        {
            "pid": 1,
            "started_at": "2026-03-01T11:50:00.250Z",
            "command": ["python", "app.py"],
            "python": "3.11.7",
            "threads": 214,
            "os_threads": 220,
            "verdict": "leaking",
            "ended_at": None,
        }
    ]
    assert (read["began_at"], read["ended_at"]) == (
        "2026-03-01T12:00:00.250Z",
        "2026-03-01T12:01:00.250Z",
    )
    assert read["leaks"][0]["tids"] == [28930]
    assert read["leaks"][0]["count"] == 2
    assert read["leaks"][0]["site"] == site
    (found,) = read["groups"]
    assert found["rate_per_min"] == 61.0
    assert [frame["function"] for frame in found["frames"]] == ["Queue.get", "consume"]
    assert found["site"] == site
    assert found["points"] == [[0.0, 1]]
    assert found["threads"] == [
        {
            "pid": 1,
            "tid": 28930,
            "name": "worker-1",
            "age_s": 212.4,
            "state": "blocked",
            "wait": "queue.get",
        }
    ]


def test_unknown_is_null():
    nobody = stay(None, name=None, born_s=None, wait=None)
    unseen = group(nobody, frames=(), site=None, entry=None, wait=None)
    read = decoded(
        report_document(
            report(
                kind=Kind.DUMP,
                targets=(Target(1),),
                observed_s=0.0,
                interval_s=None,
                threads=None,
                os_threads=None,
                noticeable_per_min=None,
                leaks=(leak(nobody.key, frames=(), wait=None),),
                groups=(unseen,),
            )
        )
    )
    assert read["type"] == "dump"
    assert read["targets"] == [
        {
            "pid": 1,
            "started_at": None,
            "command": None,
            "python": None,
            "threads": None,
            "os_threads": None,
            "verdict": "clean",
            "ended_at": None,
        }
    ]
    assert read["interval_s"] is None
    assert read["noticeable_per_min"] is None
    (found,) = read["groups"]
    for name in ("wait", "site", "entry", "rate_per_min"):
        assert found[name] is None, name
    for name in ("tid", "name", "age_s", "wait"):
        assert found["threads"][0][name] is None, name
    assert read["leaks"][0]["tids"] == []
    assert read["leaks"][0]["site"] is None


def test_report_without_a_sample_has_no_times():
    read = decoded(report_document(report(samples=0, missed=0, began_at=0.0, ended_at=0.0)))
    assert (read["began_at"], read["ended_at"]) == (None, None)


def test_thread_counts_are_not_shared_out_among_several_targets():
    read = decoded(report_document(report(targets=(Target(1), Target(2)))))
    assert [target["threads"] for target in read["targets"]] == [None, None]


@pytest.mark.parametrize("line", [0, -1])
def test_line_that_is_not_known_is_null(line):
    phantom = Frame("wait", "wait", line)
    read = decoded(report_document(report(groups=(group(stay(), frames=(phantom,)),))))
    assert read["groups"][0]["frames"] == [{"function": "wait", "filename": "wait", "line": None}]


def test_rate_of_a_group_that_does_not_leak_is_its_change():
    grown = group(stay(1), stay(2), stay(3), first=1)
    shrunk = group(stay(1), first=2)
    read = decoded(report_document(report(groups=(grown, shrunk), observed_s=90.0)))
    assert [found["rate_per_min"] for found in read["groups"]] == [1.33, -0.67]


def test_numbers_are_rounded_and_no_age_is_negative():
    stays = (stay(born_s=60.004), stay(born_s=1 / 3), stay(born_s=float("nan")))
    read = decoded(report_document(report(groups=(group(*stays),), observed_s=60.00049)))
    assert [thread["age_s"] for thread in read["groups"][0]["threads"]] == [0.0, 59.667, None]
    assert read["observed_s"] == 60.0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e300])
def test_numbers_that_are_none_are_null(value):
    endless = report(targets=(Target(1, value),), began_at=value, leaks=(leak(rate_per_min=value),))
    read = decoded(report_document(endless))
    assert read["targets"][0]["started_at"] is None
    assert read["began_at"] is None
    if value != 1e300:
        assert read["leaks"][0]["rate_per_min"] is None


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_survives_whole(text):
    frame = Frame(text, text, 1)
    hostile = group(stay(name=text), frames=(frame,), site=frame, entry=frame)
    read = decoded(
        report_document(
            report(
                targets=(Target(1, command=(text, text)),),
                not_seen=(text,),
                leaks=(leak(evidence=(text,), frames=(frame,)),),
                groups=(hostile,),
            )
        )
    )
    spelled = {"function": text, "filename": text, "line": 1}
    assert read["targets"][0]["command"] == [text, text]
    assert read["not_seen"] == [text]
    assert read["leaks"][0]["evidence"] == [text]
    assert read["groups"][0]["frames"] == [spelled]
    assert read["groups"][0]["site"] == read["groups"][0]["entry"] == spelled
    assert read["groups"][0]["threads"][0]["name"] == text


# --- any report -----------------------------------------------------------------------------------

texts = st.text(st.characters(), max_size=8)  # lone surrogates included
counts = st.integers(0, 10**6)
numbers = st.floats()  # NaN and infinity included
spans = st.floats(0, 1e9)
frames = st.builds(Frame, texts, texts, st.integers(-1, 10**5))
stacks = st.lists(frames, max_size=3).map(tuple)
tids = st.none() | counts
keys = st.builds(ThreadKey, counts, tids, tids, tids)
points = st.lists(st.builds(Point, spans, counts), max_size=3).map(tuple)


def tuples_of(
    strategy: st.SearchStrategy[Any], most: int = 3
) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=most).map(tuple)


verdicts = st.builds(
    Verdict,
    trend=st.sampled_from(Trend),
    evidence=tuples_of(texts),
    leaked=tuples_of(keys),
    moments=tuples_of(spans),
    rate_per_min=st.none() | numbers,
)
stays = st.builds(
    stay,
    tids,
    name=st.none() | texts,
    born_s=st.none() | numbers,
    state=st.sampled_from(RunState),
    wait=st.none() | texts,
    frames=stacks,
)
groups = st.builds(
    Group,
    id=texts,
    level=st.sampled_from(Level),
    verdict=verdicts,
    frames=stacks,
    site=st.none() | frames,
    entry=st.none() | frames,
    wait=st.none() | texts,
    **dict.fromkeys(("blocked", "running", "unknown", "first", "peak"), counts),
    **dict.fromkeys(("arrived", "departed", "born", "ended"), counts),
    points=points,
    stays=tuples_of(stays),
)
leaks = st.builds(
    Leak,
    id=texts,
    trend=st.sampled_from(LEAKS),
    groups=tuples_of(texts),
    leaked=tuples_of(keys),
    rate_per_min=numbers,
    rate_basis=st.sampled_from(["watched", "births"]),
    wait=st.none() | texts,
    frames=stacks,
    evidence=tuples_of(texts),
)
targets = st.builds(
    Target, counts, st.none() | numbers, tuples_of(texts), st.none() | texts, st.none() | numbers
)
reports = st.builds(
    Report,
    kind=st.sampled_from(Kind),
    targets=tuples_of(targets, 2),
    began_at=numbers,
    ended_at=numbers,
    ended_by=st.sampled_from(EndedBy),
    observed_s=spans,
    interval_s=st.none() | spans,
    **dict.fromkeys(("samples", "missed", "tries"), counts),
    **dict.fromkeys(("threads", "os_threads"), st.none() | counts),
    level=st.sampled_from(Level),
    verdict=st.sampled_from(Overall),
    noticeable_per_min=st.none() | spans,
    not_seen=tuples_of(texts),
    leaks=tuples_of(leaks, 2),
    groups=tuples_of(groups, 2),
    total_points=points,
    now_s=spans,
)


def as_read(text: str) -> str:
    """Two halves of a character that stand side by side are that character to a reader."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


@settings(deadline=None)
@given(reports)
def test_any_report_keeps_to_the_schema(made):
    read = decoded(report_document(made))
    assert read["type"] == made.kind
    assert len(read["targets"]) == len(made.targets)
    assert read["not_seen"] == [as_read(text) for text in made.not_seen]
    for shown, group_ in zip(read["groups"], made.groups, strict=True):
        assert shown["count"] == len(group_.stays) == len(shown["threads"])
        assert [(frame["function"], frame["filename"]) for frame in shown["frames"]] == [
            (as_read(frame.function), as_read(frame.filename)) for frame in group_.frames
        ]
    for shown, leak_ in zip(read["leaks"], made.leaks, strict=True):
        assert shown["count"] == len(leak_.leaked) >= len(shown["tids"])


# --- lines of a watch, and the list of processes --------------------------------------------------


def lines() -> list[dict[str, Any]]:
    return [
        start_document([Target(1)], at=NOON, interval_s=0.5),
        sample_document(
            taken_at=NOON,
            elapsed_s=0.0,
            threads=3,
            os_threads=None,
            by_process={4711: 2, 4712: 1},
            groups={"3f9c1a2b77e0": 3, "000000000000": 0},
            tries=1,
        ),
        missed_document(Missed(NOON, 1.00049, "py-spy: it said nothing", 5), 4711),
        change_document(
            at=NOON,
            elapsed_s=31.5,
            group_id="3f9c1a2b77e0",
            was=Trend.GROWING,
            trend=Trend.LEAKING,
            count=40,
            site=CONSUME,
        ),
        report_document(report()),
    ]


def test_lines_of_a_watch_keep_to_the_schema():
    types = []
    for line in lines():
        read = decoded(line)
        assert list(read)[:2] == ["type", "schema_version"]
        types.append(read["type"])
    assert types == ["start", "sample", "missed", "change", "summary"]


def test_start_line_says_what_is_watched():
    read = decoded(start_document([Target(7, NOON)], at=NOON, interval_s=0.5, level=Level.LINE))
    assert read["began_at"] == "2026-03-01T12:00:00.250Z"
    assert read["targets"][0]["pid"] == 7
    assert read["targets"][0]["threads"] is None
    assert (read["interval_s"], read["level"]) == (0.5, "line")


def test_sample_line_leaves_out_empty_groups():
    assert decoded(lines()[1])["groups"] == {"3f9c1a2b77e0": 3}


def test_sample_line_counts_the_threads_of_each_process():
    assert decoded(lines()[1])["by_process"] == {"4711": 2, "4712": 1}


def test_missed_line_says_why():
    read = decoded(lines()[2])
    assert (read["elapsed_s"], read["reason"]) == (1.0, "py-spy: it said nothing")
    assert read["pid"] == 4711


def test_a_new_leak_is_told_with_the_processes_that_it_is_in():
    main = builders.group()
    leak = builders.leak(main)
    elsewhere = replace(builders.target(), pid=builders.PID + 1)
    report = builders.report(main, leaks=(leak,), targets=(builders.target(), elsewhere))
    read = decoded(leak_document(leak, report))
    assert [target["pid"] for target in read["targets"]] == [builders.PID]
    assert read["leak"] == decoded(report_document(report))["leaks"][0]


@pytest.mark.parametrize("was", [None, *Trend])
def test_change_line_says_from_what_to_what(was):
    read = decoded(
        change_document(
            at=NOON, elapsed_s=1.0, group_id="a", was=was, trend=Trend.STEADY, count=1, site=None
        )
    )
    assert (read["was"], read["verdict"], read["site"]) == (was, "steady", None)


def test_processes_keep_to_the_schema():
    known = ProcessFacts(7, "3.11.7", 12, 86400.12345, ("python", "\udc80"), "www")
    unknown = ProcessFacts(8, None, None, None, (), None)
    read = decoded(processes_document([known, unknown]))
    assert read["processes"] == [
        {
            "pid": 7,
            "python": "3.11.7",
            "threads": 12,
            "age_s": 86400.123,
            "command": ["python", "\udc80"],
            "user": "www",
        },
        {"pid": 8, "python": None, "threads": None, "age_s": None, "command": None, "user": None},
    ]
    decoded(processes_document([]))


def test_diff_keeps_to_the_schema():
    changes = (
        Change("a", FRAMES, CONSUME, 126, 187, "queue.get"),
        Change("b", (), None, 2, 0),
    )
    diff = Diff("a.json", "\udc80", Level.FUNCTION, changes, ("Mind.",))
    read = decoded(diff_document(replace(diff, min_growth=61)))
    assert read["before"] == {"file": "a.json", "threads": 128}
    assert read["after"] == {"file": "\udc80", "threads": 187}
    assert (read["min_growth"], read["has_grown"], read["notes"]) == (61, True, ["Mind."])
    first, second = read["changes"]
    assert (first["kind"], first["growth"], first["wait"]) == ("grown", 61, "queue.get")
    assert (second["kind"], second["wait"], second["site"]) == ("gone", None, None)
    assert not decoded(diff_document(replace(diff, min_growth=62)))["has_grown"]
    decoded(diff_document(Diff("", "", Level.ENTRY, (), min_growth=1)))


def test_a_checkup_keeps_to_the_schema():
    checks = (
        Check("python", Status.OK, "CPython 3.11.7"),
        Check("rights", Status.PROBLEM, "\udc80", "Do this.\nOr that."),
    )
    seen = Checkup(Target(7, NOON), NOON, checks, 4, "it can't", 11, 12, 0.01204, 0.0024)
    read = decoded(doctor_document(seen))
    assert (read["target"]["threads"], read["target"]["os_threads"]) == (11, 12)
    assert (read["exit_status"], read["summary"]) == (4, "it can't")
    assert (read["dump_s"], read["blocking_pause_s"]) == (0.012, 0.002)
    assert [check["advice"] for check in read["checks"]] == [[], ["Do this.", "Or that."]]
    assert read["checks"][1]["found"] == "\udc80"
    gone = Checkup(Target(7), NOON, (), 3, "there is none", None, None, None, None)
    assert decoded(doctor_document(gone))["dump_s"] is None
