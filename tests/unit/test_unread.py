"""Threads whose stacks could not be read: what is said of them, by the rule and by the engine."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from leakscope.engine import JUDGE_EACH_S, STALE_S, Engine
from leakscope.facts import GroupFacts
from leakscope.limits import Limit, Resources, Usage
from leakscope.model import Counts, Frames, Snapshot, Target, ThreadSample, Tick
from leakscope.policy import DEFAULT_POLICY, Trend, Verdict
from leakscope.report import EndedBy, Kind, Overall, Report
from leakscope.rules.unread import is_unread, unread
from leakscope.stacks import Level
from tests.builders import points
from tests.builders import stay as stay_of
from tests.samples import QUEUE_GET, TAKEN_AT, key, series, snapshot, thread
from tests.samples import every as evenly
from tests.samples import lives as lives_of

WHY = "py-spy did not answer within 20 s"


def facts(
    births: Iterable[float],
    *,
    now_s: float = 60.0,
    frames: Frames = (),
    level: Level = Level.FUNCTION,
) -> GroupFacts:
    """The group of threads that were born at these moments, as it stands now."""
    stays = tuple(
        stay_of(number, began_s=at, born_s=at, frames=frames)
        for number, at in enumerate(births, start=1)
    )
    return GroupFacts(
        id="unread",
        level=level,
        frames=frames,
        first=0,
        peak=len(stays),
        arrived=len(stays),
        departed=0,
        born=len(stays),
        ended=0,
        points=points(0, len(stays)),
        stays=stays,
        left=(),
        began_s=0.0,
        now_s=now_s,
        looks=60,
        counters_known=True,
        process_began_s=-3600.0,
    )


def verdict_on(births: Iterable[float], **fields: float | Level) -> Verdict:
    """What the rule says of threads that were born at these moments."""
    verdict = unread(facts(births, **fields), DEFAULT_POLICY)  # type: ignore[arg-type]  # as given
    assert verdict is not None
    return verdict


GROWTH = evenly(4.0, begin_s=1.0, end_s=61.0)


# --- the rule -------------------------------------------------------------------------------------


def test_a_burst_before_the_watch_does_not_tell_the_rate():
    verdict = verdict_on(
        [*(-20 + number / 1000 for number in range(4200)), *range(1, 41)], now_s=41.0
    )
    assert verdict.trend is Trend.GROWING
    assert verdict.rate_per_min == pytest.approx(60, rel=0.1)
    assert "60.0 a minute of late" in verdict.evidence[0]


def test_a_burst_alone_is_no_growth():
    births = [-20 + number / 1000 for number in range(4200)]
    assert verdict_on(births, now_s=0.0).trend is Trend.STEADY


def test_a_group_with_a_stack_is_for_other_rules():
    known = facts(GROWTH, frames=QUEUE_GET)
    assert not is_unread(known)
    assert unread(known, DEFAULT_POLICY) is None


def test_threads_that_keep_coming_are_growth_and_never_a_leak():
    verdict = verdict_on(GROWTH)
    assert verdict.trend is Trend.GROWING
    assert verdict.rate_per_min == pytest.approx(15.0)
    assert verdict.rate_basis == "births"
    assert (verdict.moments, verdict.leaked) == (tuple(GROWTH), ())
    (evidence,) = verdict.evidence
    assert evidence.startswith("15 threads whose stacks could not be read")


@pytest.mark.parametrize(
    "births",
    [
        pytest.param([], id="none"),
        pytest.param(GROWTH[-(DEFAULT_POLICY.min_held - 1) :], id="few"),
        pytest.param([59.0 + n / 100 for n in range(40)], id="a burst"),
        pytest.param([30.0 * (n // 20) for n in range(60)], id="three bursts"),
        pytest.param([52.0 + n for n in range(8)], id="within seconds"),
    ],
)
def test_what_may_be_anything_is_steady(births):
    assert verdict_on(births).trend is Trend.STEADY


def test_growth_that_has_stopped_is_over():
    assert verdict_on(GROWTH, now_s=65.0).trend is Trend.GROWING
    assert verdict_on(GROWTH, now_s=90.0).trend is Trend.STEADY


def test_growth_is_told_at_one_level():
    for level in Level:
        grows = verdict_on(GROWTH, level=level).trend is Trend.GROWING
        assert grows is (level is Level.FUNCTION)


# --- the engine -----------------------------------------------------------------------------------


def tick(at: float, *new: int, why: str | None = None, ended: Iterable[int] = ()) -> Tick:
    """A look at the counters that finds these threads, born as it is made."""
    counts = {key(number): Counts(1, 0) for number in new}
    births_s = dict.fromkeys(counts, at)
    return Tick(TAKEN_AT + at, at, counts, tuple(map(key, ended)), births_s, 9, 0, why, 1)


def still(number: int, *, born_s: float = -60.0) -> ThreadSample:
    """A thread that has not run since long ago."""
    return thread(number, born_s=born_s, runs=1, cpu_ticks=0)


def report_of(engine: Engine, interval_s: float | None = 1.0) -> Report:
    """What the engine reports now."""
    return engine.report(Kind.SUMMARY, (Target(4711),), EndedBy.DURATION, interval_s)


def blind(*, seconds: int = 60, each_s: int = 4) -> Engine:
    """An engine that was shown no stack after the first look, while threads kept coming."""
    engine = Engine()
    engine.observe(snapshot(still(1)))
    for at in range(1, seconds):
        new = (100 + at,) if at % each_s == 0 else ()
        engine.observe(tick(float(at), *new, why=WHY))
        engine.findings()
    return engine


def test_that_stacks_are_not_read_is_said_with_the_reason():
    (line,) = [line for line in report_of(blind()).not_seen if line.startswith("stacks:")]
    assert line.startswith(f"stacks: not read for 58 s: {WHY}.")


def test_a_tick_that_had_nothing_to_read_is_no_fault():
    engine = Engine()
    engine.observe(snapshot(still(1)))
    engine.observe(tick(1.0, 2))
    assert report_of(engine).not_seen == ()


def test_a_tick_between_two_failures_does_not_end_the_fault():
    engine = Engine()
    for look in (snapshot(still(1)), tick(1.0, why=WHY), tick(2.0), tick(9.0, why=WHY)):
        engine.observe(look)
    assert (engine.unread, engine.unread_since_s) == (WHY, 1.0)


def test_the_fault_is_over_with_the_next_stacks():
    engine = blind()
    engine.observe(snapshot(still(1), at=61.0))
    assert report_of(engine).not_seen == ()


def test_growth_that_only_the_kernel_tells_of_is_found_while_blind():
    engine = blind()
    findings = engine.findings()
    assert (findings.verdict, findings.leaks) == (Overall.GROWING, ())


def test_while_blind_it_is_judged_now_and_then():
    engine = Engine()
    engine.observe(snapshot(still(1)))
    judged: list[float] = []
    before = engine.findings()
    for at in range(1, 21):
        engine.observe(tick(float(at), why=WHY))
        after = engine.findings()
        judged += [float(at)] * (after is not before)
        before = after
    assert judged == [JUDGE_EACH_S * n for n in range(1, 5)]


def test_who_asks_for_a_report_gets_what_came_since_the_last_dump():
    engine = Engine()
    engine.observe(snapshot(still(1)))
    assert sum(group.size for group in report_of(engine).groups) == 1
    engine.observe(tick(1.0, 2))
    assert sum(group.size for group in report_of(engine).groups) == 1  # not at each sample
    engine.observe(tick(JUDGE_EACH_S, 3))
    assert sum(group.size for group in report_of(engine).groups) == 3
    judged = engine.findings()
    engine.observe(tick(3 * JUDGE_EACH_S))
    report_of(engine)
    assert engine.findings() is judged  # nothing came


def test_how_old_stacks_are_is_said_where_that_matters():
    engine = Engine()
    engine.observe(snapshot(still(1)))
    for number in range(2, 10):
        engine.observe(tick(float(number), number))
    assert report_of(engine, None).not_seen == ()
    engine.observe(tick(STALE_S))
    (line,) = report_of(engine, None).not_seen
    assert line.startswith("stacks: last read 60 s ago, and 8 threads have none yet")
    engine.observe(snapshot(still(1), at=STALE_S + 1))
    assert report_of(engine, None).not_seen == ()


def test_between_dumps_nothing_is_judged_unless_it_is_asked_for():
    engine = Engine()
    engine.observe(snapshot(still(1)))
    before = engine.findings()
    engine.observe(tick(9.0, 2))
    assert engine.findings() is before
    engine.judge_anew()
    assert engine.findings() is not before


def limits(at: float, threads: int) -> Resources:
    """A process that may have a thousand threads."""
    limit = Limit("pids.max 1000", used=threads, allowed=1000, per_thread=1.0)
    return Resources(Usage(at, threads, None, None), (limit,))


def test_a_limit_that_nears_is_told_while_blind():
    engine = blind()
    engine.observe(limits(60.0, 700))
    deadline = report_of(engine).deadline
    assert deadline is not None
    # 300 threads are left, at one each four seconds.
    assert deadline.seconds == pytest.approx(300 * 4, rel=0.01)
    assert deadline.earliest_s < deadline.seconds


def test_without_growth_no_limit_nears():
    engine = Engine()
    for look in (snapshot(still(1)), tick(1.0, why=WHY), limits(1.0, 700)):
        engine.observe(look)
    assert report_of(engine).deadline is None


def leaky() -> list[Snapshot]:
    """A minute of a leak, a thread a second."""
    leaked = lives_of(evenly(1.0, begin_s=1.0, end_s=60.0), first=10)
    return [look for look in series(leaked, until_s=60.0) if isinstance(look, Snapshot)]


def test_a_leak_stays_named_while_stacks_cannot_be_read():
    engine = Engine()
    for look in leaky():
        engine.observe(look)
    (leak,) = engine.findings().leaks
    for at in range(61, 181):
        engine.observe(tick(float(at), 1000 + at, why=WHY))
        assert [one.id for one in engine.findings().leaks] == [leak.id]
    assert engine.findings().verdict is Overall.LEAKING
    assert engine.findings().leaks[0].leaked == leak.leaked


def test_threads_that_ended_while_blind_are_in_no_leak():
    engine = Engine()
    for look in leaky():
        engine.observe(look)
    gone = {key(number) for number in range(10, 20)}
    engine.observe(tick(66.0, why=WHY, ended=range(10, 20)))
    assert not any(gone & set(leak.leaked) for leak in engine.findings().leaks)
    assert not any(
        gone & {stay.key for stay in judged.facts.stays} for judged in engine.findings().groups
    )


def test_sizes_are_of_now_and_verdicts_of_when_stacks_were_read():
    engine = Engine()
    engine.observe(snapshot(still(1), still(2)))
    before = engine.findings()
    engine.observe(tick(1.0, 3, 4, 5, ended=[1]))
    assert sorted(engine.sizes().values()) == [1, 3]
    assert engine.threads == 4
    assert engine.findings() is before


def test_sizes_leave_out_what_is_empty():
    engine = Engine()
    engine.observe(snapshot(still(1)))
    engine.observe(tick(1.0, ended=[1]))
    assert engine.sizes() == {}


@pytest.mark.parametrize(("apart_s", "is_said"), [(1.0, False), (1.2, False), (1.5, True)])
def test_samples_that_are_further_apart_than_asked_for_are_said(apart_s, is_said):
    engine = Engine()
    for n in range(9):
        engine.observe(snapshot(still(1), at=n * apart_s))
    lines = report_of(engine).not_seen
    assert bool(lines) is is_said
    if is_said:
        assert "they were 1.5 s apart instead of 1 s" in lines[0]


def test_without_an_interval_samples_are_not_too_far_apart():
    engine = Engine()
    for n in range(9):
        engine.observe(snapshot(still(1), at=n * 10.0))
    assert report_of(engine, interval_s=None).not_seen == ()
