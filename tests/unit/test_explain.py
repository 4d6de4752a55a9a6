"""All that saved documents know of one group."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from leakscope.accounts import accounts
from leakscope.baseline import Baseline, Entry, Rate, against
from leakscope.checked import BadValue
from leakscope.leaks import Cause
from leakscope.limits import Deadline, Limit
from leakscope.policy import Trend
from leakscope.renderers.account_text import lines
from leakscope.report import Kind
from leakscope.stacks import Level
from leakscope.wire import change_document, encode, report_document
from tests.builders import (
    LEAKING,
    THE_LEAK,
    WATCH,
    group,
    hostile_report,
    key,
    report,
    stay,
)
from tests.hostile import EVIL, harmful


def saved(report):
    return json.loads(encode(report_document(report)))


def turned(was, trend, count):
    return json.loads(
        encode(
            change_document(
                at=1.7e9, elapsed_s=9.0, group_id=LEAKING.id, was=was, trend=trend,
                count=count, site=LEAKING.site,
            )
        )
    )  # fmt: skip


def test_all_that_is_known_of_a_group():
    documents = [turned(None, Trend.WARMING, 3), turned(Trend.WARMING, Trend.LEAKING, 40)]
    (account,) = accounts([*documents, saved(WATCH)], LEAKING.id[:4])
    assert (account.id, account.size, account.verdict) == (LEAKING.id, LEAKING.size, "leaking")
    assert account.frames == LEAKING.frames
    assert len(account.threads) == LEAKING.size
    (leak,) = account.leaks
    assert (leak.number, leak.threads) == (1, len(THE_LEAK.leaked))
    assert [(turn.was, turn.verdict, turn.size) for turn in account.turns] == [
        (None, "warming", 3),
        ("warming", "leaking", 40),
    ]


def test_it_reads_well():
    documents = [turned(Trend.WARMING, Trend.LEAKING, 40), saved(WATCH)]
    (account,) = accounts(documents, LEAKING.id)
    said = list(lines(account))
    assert said[0] == (
        "group 3f9c1a2b77e0: 187 threads, leaking  [queue.get, 187 blocked]  app/jobs.py:41 consume"
    )
    assert "leak 1 of the report: 187 threads, +61.0/min (while watched)" in said
    assert "  2023-11-14T22:13:20.000Z  warming -> leaking, 40 threads" in said
    assert "  #   Queue.get                 /usr/lib/python3.11/queue.py:171" in said
    assert said[-1] == "and 167 younger"


def test_a_group_that_is_in_no_leak_has_none():
    others = [one for one in accounts([saved(WATCH)], "") if one.id != LEAKING.id]
    assert others
    assert not any(one.leaks for one in others)


def test_what_a_baseline_knew_is_told_with_why_and_cure():
    cause = Cause("x", False, "Nobody ends them.", "End them.")
    judged = replace(WATCH, leaks=(replace(THE_LEAK, cause=cause),))
    entry = Entry(frozenset((LEAKING.id,)), Rate(61.0, 187), 1_700_000_000.0)
    once = Baseline("last.json", Level.FUNCTION, (entry,))
    made = against(judged, once)
    assert not made.leaks
    (account,) = accounts([saved(made)], LEAKING.id)
    said = list(lines(account))
    assert "known since 2023-11-14T22:13:20.000Z: 187 threads, +61.0/min" in said
    assert "  Not one thread of this stack has ended." in said
    assert "  why         Nobody ends them." in said
    assert "  cure        End them." in said


def test_a_group_that_leaks_has_a_deadline():
    limit = Limit("pids.max 2048", 410, 2048, 1.0)
    made = saved(replace(WATCH, deadline=Deadline(limit, 3276.0, 2900.0, 3700.0)))
    said = {one.id: list(lines(one)) for one in accounts([made], "")}
    told = "deadline: pids.max 2048 in 55 min, between 48 min and 62 min"
    assert [id_ for id_, line in said.items() if told in line] == [LEAKING.id]


def test_one_look_has_no_history():
    looked = replace(WATCH, kind=Kind.DUMP, observed_s=0.0, samples=1, leaks=())
    (account,) = accounts([saved(looked)], LEAKING.id)
    said = list(lines(account._replace(points=account.points[:1])))
    assert "looked at once, 2023-11-14T22:14:20.000Z" in said
    assert not [line for line in said if line.startswith(("  from ", "watched"))]


def test_a_group_of_several_processes_is_told_by_process():
    members = [stay(n, key=key(n, 4711 + n % 2)) for n in range(1, 6)]
    shared = group(members=members)
    (account,) = accounts([saved(report(shared))], shared.id)
    said = list(lines(account))
    assert "  by process: 4712: 3, 4711: 2" in said
    assert said[-1].split()[-1] != "younger", "all five are shown"


def test_a_group_without_a_stack_and_without_threads_now():
    empty = group(0, (), first=3)
    (account,) = accounts([saved(report(empty))], empty.id)
    said = list(lines(account))
    assert said[0].startswith(f"group {empty.id}: 0 threads, steady  [-]")
    assert not [line for line in said if line.startswith(("  at  ", "  started in"))]


def test_a_group_that_is_not_there():
    assert accounts([saved(WATCH)], "nothing") == ()


@pytest.mark.parametrize("document", [[], 1, None, "report"])
def test_what_is_no_document_is_said(document):
    with pytest.raises(BadValue):
        accounts([document], "")


def test_a_watch_that_has_not_ended_is_said():
    with pytest.raises(BadValue, match="a watch writes its summary as it ends"):
        accounts([turned(None, Trend.WARMING, 3)], "")


@pytest.mark.parametrize("name", saved(WATCH)["groups"][0])
def test_each_value_is_looked_at(name):
    bad_ones: tuple[Any, ...] = ({"a": [float("nan")]}, [[[]]])
    for bad in bad_ones:
        document = saved(WATCH)
        document["groups"][0][name] = bad
        with pytest.raises((BadValue, KeyError)):
            accounts([document], "")


@given(text=EVIL)
def test_nothing_steers_the_terminal(text):
    for account in accounts([saved(hostile_report(text))], ""):
        for line in lines(account):
            assert not harmful(line)
            assert len(line.splitlines()) <= 1
