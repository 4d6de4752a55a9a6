"""The text formats: whole outputs, and what they do with the odd and the hostile."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakscope.model import RunState
from leakscope.policy import Trend
from leakscope.processes import ProcessFacts
from leakscope.renderers.process_text import process_lines
from leakscope.renderers.text import change_line, dump_lines, report_lines
from leakscope.renderers.wording import ENDED, in_processes, place, verdict_sentence
from leakscope.report import EndedBy, Kind, Member, Overall
from leakscope.stacks import Level
from tests.builders import (
    HOSTILE,
    LEAKING,
    PID,
    THE_LEAK,
    WATCH,
    frame,
    getting,
    group,
    hostile_report,
    key,
    leak,
    nothing,
    report,
    started,
    stay,
    target,
)


def of_several(**fields):
    """A leak in the second of three processes, the third of which has ended."""
    pids = (PID, PID + 1, PID + 2)
    members = [
        *(stay(n, key=key(n, PID)) for n in (1, 2)),
        *(stay(n, key=key(n, PID + 1)) for n in range(3, 23)),
    ]
    leaking = group(members=members, trend=Trend.LEAKING, id="3f9c1a2b77e0", first=2)
    targets = tuple(target(pid=pid) for pid in pids)
    verdicts = (Overall.CLEAN, Overall.LEAKING, Overall.CLEAN)
    several = tuple(
        Member(one, threads, threads, verdict, ended_s)
        for one, threads, verdict, ended_s in zip(
            targets, (2, 20, None), verdicts, (None, None, 30.0), strict=True
        )
    )
    named = leak(leaking, leaked=tuple(one.key for one in members[2:]))
    return report(leaking, leaks=(named,), targets=targets, several=several, **fields)


def test_report_of_several_processes():
    lines = list(report_lines(of_several()))
    assert lines[0] == "LEAKING: 1 leak in 1 of 3 processes (4712), 61.0 threads a minute"
    table = lines.index(next(line for line in lines if line.startswith("count")))
    assert lines[table:-1] == [
        "count  change  peak  verdict  wait       id            processes          where",
        "   22     +20    22  leaking  queue.get  3f9c1a2b77e0  4712: 20, 4711: 2  "
        "app/jobs.py:41 consume",
        "",
        "process  threads  verdict       up      command",
        "   4712       20  leaking       61 min  python app.py",
        "   4711        2  clean         61 min  python app.py",
        "   4713        -  clean, ended  -       python app.py",
        "",
    ]


def test_dump_of_several_processes():
    lines = list(dump_lines(of_several(kind=Kind.DUMP)))
    assert lines[:2] == [
        "thread profile: total 22",
        "pid 4711, Python 3.11.7, up 61 min: python app.py (2 threads)",
    ]
    assert "  in 4712: 20, 4711: 2" in lines


def test_a_group_in_many_processes_names_the_first():
    counts = dict.fromkeys(range(1, 6), 9)
    assert in_processes(counts) == "1: 9, 2: 9, 3: 9 and 2 more"


def test_many_processes_are_not_all_listed():
    made = of_several()
    many = tuple(made.several[0]._replace(target=target(pid=n)) for n in range(1, 31))
    lines = list(report_lines(replace(made, several=many)))
    assert "and 10 more" in lines


def test_dump():
    assert list(dump_lines(WATCH)) == [
        "thread profile: total 198",
        "pid 4711, Python 3.11.7, up 61 min: python app.py",
        "",
        "187 @ 3f9c1a2b77e0  [queue.get]  app/jobs.py:41 consume  LEAKING",
        "#   Condition.wait            /usr/lib/python3.11/threading.py:327",
        "#   Queue.get                 /usr/lib/python3.11/queue.py:171",
        "#   consume                   /srv/app/jobs.py:41",
        "#   Thread.run                /usr/lib/python3.11/threading.py:982",
        "#   Thread._bootstrap_inner   /usr/lib/python3.11/threading.py:1045",
        "#   Thread._bootstrap         /usr/lib/python3.11/threading.py:1002",
        "",
        "8 @ 0123456789ab  [executor idle]  futures/thread.py:81 _worker  WARMING",
        "#   _worker                   /usr/lib/python3.11/concurrent/futures/thread.py:81",
        "#   Thread.run                /usr/lib/python3.11/threading.py:982",
        "#   Thread._bootstrap_inner   /usr/lib/python3.11/threading.py:1045",
        "#   Thread._bootstrap         /usr/lib/python3.11/threading.py:1002",
        "",
        "3 @ 77aa00000001  [blocked, 2 running]  app/loops.py:7 spin",
        "#   spin                      /srv/app/loops.py:7",
        "#   Thread.run                /usr/lib/python3.11/threading.py:982",
        "#   Thread._bootstrap_inner   /usr/lib/python3.11/threading.py:1045",
        "#   Thread._bootstrap         /usr/lib/python3.11/threading.py:1002",
        "",
        "not seen: native threads: 2 of the 200 threads that the kernel counts are not Python's",
    ]


def test_report():
    assert list(report_lines(WATCH)) == [
        "LEAKING: 1 leak in process 4711 (python app.py), 61.0 threads a minute",
        "",
        "LEAK 1  187 threads  +61.0/min  [queue.get]  app/jobs.py:41 consume",
        "  187 threads came here.",
        "  Not one thread of this stack has ended.",
        "  at          /srv/app/jobs.py:41 consume",
        "  started in  /srv/app/jobs.py:41 consume",
        "  #   Condition.wait            /usr/lib/python3.11/threading.py:327",
        "  #   Queue.get                 /usr/lib/python3.11/queue.py:171",
        "  #   consume                   /srv/app/jobs.py:41",
        "  #   Thread.run                /usr/lib/python3.11/threading.py:982",
        "  #   Thread._bootstrap_inner   /usr/lib/python3.11/threading.py:1045",
        "  #   Thread._bootstrap         /usr/lib/python3.11/threading.py:1002",
        "  group       3f9c1a2b77e0",
        "  threads     Thread-1 (consume), Thread-2 (consume), Thread-3 (consume) and 184 more",
        "",
        "2023-11-14 21:13:20Z  process 4711 started",
        "2023-11-14 22:13:20Z  leakscope began to look: 198 threads",
        "2023-11-14 22:13:21Z  leak 1: the oldest of its threads started",
        "2023-11-14 22:13:21Z  leak 1: the newest of them started",
        "2023-11-14 22:14:20Z  its last look: 198 threads",
        "",
        "count  change  peak  verdict  wait                id            where",
        "  187    +186   187  leaking  queue.get           3f9c1a2b77e0  app/jobs.py:41 consume",
        "    8      +7     8  warming  executor idle       0123456789ab  "
        "futures/thread.py:81 _worker",
        "    3       0     3  steady   blocked, 2 running  77aa00000001  app/loops.py:7 spin",
        "",
        "not seen: native threads: 2 of the 200 threads that the kernel counts are not Python's",
        "watched 60.0 s, 60 samples (1 s apart), 0 missed, 61 dumps; ended by duration",
    ]


def test_change():
    line = change_line(32.0, group(64, id="3f9c1a2b77e0"), Trend.GROWING, Trend.LEAKING)
    assert line == (
        "  32.0 s  3f9c1a2b77e0  growing -> leaking  64 threads  [queue.get]"
        "  app/jobs.py:41 consume"
    )


def test_change_of_a_new_group():
    line = change_line(3600.0, group(1), None, Trend.STEADY)
    assert line.startswith("3600.0 s  ")
    assert "  new -> steady  1 thread  " in line


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            report(),
            "clean: no leak in 60 s (60 samples, 0 missed); a leak slower than 8.0 threads a "
            "minute would not have shown",
        ),
        (
            report(noticeable_per_min=None, observed_s=12.0, samples=12, missed=1),
            "clean: no leak in 12 s (12 samples, 1 missed)",
        ),
        (
            nothing(samples=5, observed_s=4.0),
            "unknown: too little was seen to say (5 samples over 4.0 s; 10 s and 8 samples are "
            "needed)",
        ),
        (
            nothing(missed=3, observed_s=2.0),
            "unknown: too little was seen to say (0 samples, 3 missed over 2.0 s; 10 s and 8 "
            "samples are needed)",
        ),
        (
            report(group(9, trend=Trend.GROWING), verdict=Overall.GROWING),
            "growing: 1 group of threads in process 4711 (python app.py) grows; not proven to be "
            "a leak",
        ),
        (
            report(group(2), leaks=(leak(group(2)),) * 2, targets=(target(), target(pid=4712))),
            "LEAKING: 2 leaks in 2 processes, 122.0 threads a minute",
        ),
    ],
)
def test_verdict_sentence(made, sentence):
    assert verdict_sentence(made) == sentence


@pytest.mark.parametrize("overall", Overall)
@pytest.mark.parametrize("ended_by", EndedBy)
@pytest.mark.parametrize("kind", Kind)
def test_an_empty_report_can_be_rendered(overall, ended_by, kind):
    for made in (nothing, report):
        empty = made(verdict=overall, ended_by=ended_by, kind=kind)
        assert list(dump_lines(empty))
        assert list(report_lines(empty))[-1].endswith(ENDED[ended_by])


def test_the_rest_of_many_groups_is_counted():
    many = [group(20 - i, started(frame(f"f{i}"))) for i in range(20)]
    lines = list(report_lines(report(*many)))
    assert "and 5 smaller groups" in lines
    assert sum("steady" in line for line in lines) == 15


def test_a_group_that_a_leak_names_is_never_cut():
    many = [group(20, started(frame(f"f{i}"))) for i in range(40)]
    lines = list(report_lines(report(*many, leaks=(leak(*many[:18]),))))
    assert sum("of leak 1" in line for line in lines) == 18
    assert "and 22 smaller groups" in lines
    assert any(line.endswith("and 8 more") and line.startswith("  groups ") for line in lines)


def test_suspicion_comes_before_size():
    trends = (Trend.STEADY, Trend.WARMING, Trend.GROWING, Trend.RUNAWAY, Trend.CHURNING)
    made = [group(90 - i, started(frame(f"f{i}")), trend) for i, trend in enumerate(trends)]
    rows = [line for line in report_lines(report(*made)) if line.startswith(" ")]
    lines = [line.split()[3] for line in rows if " app/jobs.py" in line]
    assert lines == ["runaway", "growing", "warming", "steady", "churning"]


def test_a_thread_in_groups_of_two_levels_counts_once():
    by_line = group(3, getting(), level=Level.LINE)
    made = report(by_line, LEAKING, level=Level.LINE, leaks=(THE_LEAK,))
    threads = next(line for line in report_lines(made) if line.startswith("  threads "))
    assert threads.endswith(" and 184 more")
    assert [line for line in dump_lines(made) if " @ " in line] == [
        f"3 @ {by_line.id}  [queue.get]  app/jobs.py:41 consume"
    ]


def test_phantom_frames_are_left_out():
    shown = list(dump_lines(report(group(1, (frame("<shim>", "<shim>", 0), frame())))))
    assert shown[-1] == "#   consume   /srv/app/jobs.py:41"


def test_a_group_without_frames():
    shown = list(dump_lines(report(group(1, (), members=[stay(frames=(), wait=None)]))))
    assert shown[-2].endswith("  [blocked]  stack not read")
    assert shown[-1] == "#   stack not read"


@pytest.mark.parametrize(
    ("states", "wait", "said"),
    [
        ("bbb", "queue.get", "[queue.get]"),
        ("bbr", "queue.get", "[queue.get, 1 running]"),
        ("uuu", "queue.get", "[queue.get]"),
        ("bb", None, "[blocked]"),
        ("rr", None, "[running]"),
        ("bru", None, "[blocked, 1 running, 1 unknown]"),
        ("uu", None, "[unknown]"),
    ],
)
def test_what_threads_do(states, wait, said):
    by_letter = {"b": RunState.BLOCKED, "r": RunState.RUNNING, "u": RunState.UNKNOWN}
    members = [stay(i, state=by_letter[s], wait=wait) for i, s in enumerate(states)]
    assert said in change_line(0.0, group(members=members), Trend.STEADY, Trend.GROWING)


def test_an_unknown_line_is_not_shown():
    assert place(frame("f", "/a/b/c.py", 0)) == "b/c.py f"


def test_functions_in_wide_letters_are_aligned():
    lines = list(dump_lines(report(group(1, (frame("等待", line=1), frame("wait", line=2))))))
    assert lines[-2:] == ["#   等待   /srv/app/jobs.py:1", "#   wait   /srv/app/jobs.py:2"]


def test_processes():
    listed = process_lines(
        [
            ProcessFacts(4711, "3.11.7", 214, 3600.0, ("python", "app.py"), "www"),
            ProcessFacts(12, None, None, None, (), None),
        ]
    )
    assert list(listed) == [
        " pid  python  threads  age     user  command",
        "4711  3.11.7      214  60 min  www   python app.py",
        "  12  ?             ?  ?       ?",
    ]


@given(st.text(st.characters(exclude_categories=())))
def test_no_text_of_the_target_breaks_a_line(text):
    made = hostile_report(text)
    evil = made.groups[0]
    lines = [*dump_lines(made), *report_lines(made)]
    lines.append(change_line(1.0, evil, Trend.STEADY, Trend.LEAKING))
    lines += process_lines([ProcessFacts(PID, text, 1, 1.0, (text,), text)])
    for line in lines:
        assert not line.strip() or len(line.splitlines()) == 1
        assert all(char.isprintable() or char.isspace() for char in line)


def test_hostile_names_can_still_be_read():
    shown = "\n".join(report_lines(hostile_report(HOSTILE)))
    assert r"threads     \x1b[31m[red]\n\u202eevil\ud800" in shown
    assert "\x1b" not in shown
