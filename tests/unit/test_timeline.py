"""What happened when, as far as it is known."""

from __future__ import annotations

from dataclasses import replace

from leakscope.timeline import timeline
from tests.builders import LEAKING, THE_LEAK, WATCH, report, target


def told(made):
    return [event.what for event in timeline(made)]


def test_a_process_of_which_only_the_date_is_known_started_then():
    started = target(began_s=None, started_at=1_699_999_000.0)
    (first, *_) = timeline(report(targets=(started,)))
    assert first == (1_699_999_000.0, "process 4711 started")


def test_of_a_process_of_unknown_start_none_is_told():
    said = told(report(targets=(target(began_s=None),)))
    assert said
    assert not [what for what in said if "started" in what]


def test_a_leak_whose_threads_have_ended_with_their_process_started_at_no_known_time():
    assert "leak 1: the oldest of its threads started" in told(WATCH)
    gone = replace(WATCH, leaks=(THE_LEAK,), groups=(replace(LEAKING, stays=()),))
    assert not [what for what in told(gone) if what.startswith("leak 1")]
