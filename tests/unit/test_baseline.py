"""What a saved report knew is no alarm, unless it is faster by more than chance."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakscope.baseline import Baseline, Rate, against, baseline_of, is_faster
from leakscope.checked import BadValue
from leakscope.errors import UsageProblem
from leakscope.model import Frame
from leakscope.policy import Trend
from leakscope.renderers import markdown, text
from leakscope.report import Overall, Report
from leakscope.sources.saved import read_baseline
from leakscope.wire import encode, report_document
from tests.builders import getting, group, leak, report

OLD = group(40, trend=Trend.LEAKING)
NEW = group(40, getting(Frame("poll", "/srv/app/poll.py", 7)), trend=Trend.LEAKING)
GROWING = group(
    30, getting(Frame("grow", "/srv/app/grow.py", 9)), trend=Trend.GROWING, first=10
)  # by 20 in a minute


def saved(of: Report) -> Baseline:
    """The baseline that this report makes, by way of its JSON."""
    return baseline_of([json.loads(encode(report_document(of)))], "baseline.json")


def leaking(*leaks, **fields):
    groups = [group for group in (OLD, NEW) if group.id in [leak.id for leak in leaks]]
    return report(*groups, leaks=leaks, **fields)


# --- the rule -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "then", "expected"),
    [
        (Rate(60.0, 60), Rate(60.0, 60), False),
        # 60 may be 60 +- 15.5: two of them differ by up to 22 by chance.
        (Rate(80.0, 80), Rate(60.0, 60), False),
        (Rate(90.0, 90), Rate(60.0, 60), True),
        # From fewer arrivals it takes more.
        (Rate(90.0, 9), Rate(60.0, 6), False),
        (Rate(30.0, 30), Rate(60.0, 60), False),
        # Where nothing is known of the old growth, any growth is faster, and none is not.
        (Rate(90.0, 90), None, True),
        (Rate(0.1, 1), Rate(0.0, 0), True),
        (Rate(0.0, 90), None, False),
        (Rate(90.0, 0), None, False),
        (Rate(90.0, 0), Rate(60.0, 60), False),
    ],
)
def test_faster_is_more_than_chance_makes_of_both(now, then, expected):
    assert is_faster(now, then) is expected


@given(st.floats(0, 1e6), st.integers(0, 10_000), st.floats(0, 1e6), st.integers(0, 10_000))
def test_of_two_rates_at_most_one_is_faster(one, n, other, m):
    first, second = Rate(one, n), Rate(other, m)
    assert not (is_faster(first, second) and is_faster(second, first))
    assert not is_faster(first, first)


# --- a report against one -------------------------------------------------------------------------


def test_a_known_leak_is_no_alarm_and_is_told_with_its_date():
    now = against(leaking(leak(OLD)), saved(leaking(leak(OLD))))
    assert (now.verdict, now.leaks) == (Overall.CLEAN, ())
    (known,) = now.known
    assert (known.id, known.trend, known.size) == (OLD.id, Trend.LEAKING, 40)
    assert known.since_at == 1_700_000_060.0
    assert "since 2023-11-14 22:14:20Z" in known.why
    for lines in (text.lines, markdown.lines):
        assert any("no faster than that" in line for line in lines(now))
    assert "  known " in "\n".join(text.lines(now))


def test_a_new_leak_beside_it_is_one():
    now = against(leaking(leak(OLD), leak(NEW)), saved(leaking(leak(OLD))))
    assert now.verdict is Overall.LEAKING
    assert [leak.id for leak in now.leaks] == [NEW.id]
    assert [known.id for known in now.known] == [OLD.id]


def test_a_known_leak_that_is_faster_is_an_alarm_that_says_so():
    now = against(leaking(leak(OLD, rate_per_min=140.0)), saved(leaking(leak(OLD))))
    assert (now.verdict, now.known) == (Overall.LEAKING, ())
    assert (
        "and faster than that: 61.0 threads a minute then, 140.0 now" in now.leaks[0].evidence[-1]
    )


def test_a_baseline_without_rates_hides_no_leak():
    """As one look makes it."""
    one_look = report(GROWING, observed_s=0.0)
    now = leak(GROWING, rate_per_min=2.0)
    judged = against(report(GROWING, leaks=(now,)), saved(one_look))
    assert (judged.verdict, judged.known) == (Overall.LEAKING, ())
    assert (
        judged.leaks[0]
        .evidence[-1]
        .endswith(
            "does not tell how fast it grew: nothing says that 2.0 threads a minute are no news."
        )
    )


def test_what_does_not_grow_is_known_by_a_baseline_without_rates():
    one_look = report(GROWING, observed_s=0.0)
    (known,) = against(report(replace(GROWING, first=30)), saved(one_look)).known
    assert known.why.endswith("does not tell how fast it grew; it does not grow now.")


def test_a_known_leak_is_known_by_any_of_its_groups():
    before = saved(leaking(leak(OLD, NEW)))
    assert against(leaking(leak(NEW)), before).leaks == ()


def test_known_growth_is_no_alarm_and_is_one_when_faster():
    grown = report(GROWING, verdict=Overall.GROWING)
    now = against(grown, saved(grown))
    assert now.verdict is Overall.CLEAN
    assert [known.rate_per_min for known in now.known] == [20.0]
    assert "growing: " not in "\n".join(text.lines(now))
    faster = replace(GROWING, first=0, stays=(*GROWING.stays, *OLD.stays))  # by 70
    assert against(report(faster, verdict=Overall.GROWING), saved(grown)).known == ()


def test_growth_that_is_now_proven_to_leak_at_that_rate_is_known():
    now = leak(GROWING, rate_per_min=21.0)
    judged = against(report(GROWING, leaks=(now,)), saved(report(GROWING)))
    assert judged.verdict is Overall.CLEAN


def test_a_chain_of_baselines_keeps_the_first_date():
    first = saved(leaking(leak(OLD)))
    later = against(leaking(leak(OLD), ended_at=1_800_000_000.0), first)
    (known,) = against(leaking(leak(OLD)), saved(later)).known
    assert known.since_at == 1_700_000_060.0


def test_a_chain_of_baselines_keeps_the_first_rate():
    """Else one that is a little faster each time, by less than chance makes, is never an alarm."""
    baseline, told = saved(leaking(leak(OLD))), []  # 61 threads a minute
    for rate in (75.0, 90.0, 105.0):
        now = against(leaking(leak(OLD, rate_per_min=rate)), baseline)
        told.append(now.verdict)
        baseline = saved(now)
    assert told == [Overall.CLEAN, Overall.CLEAN, Overall.LEAKING]
    # What was an alarm, and is saved as the next baseline all the same, is known from then on.
    assert against(leaking(leak(OLD, rate_per_min=105.0)), baseline).verdict is Overall.CLEAN


def test_a_chain_keeps_that_the_first_one_told_no_rate():
    one_look = saved(report(GROWING, observed_s=0.0))
    still = against(report(replace(GROWING, first=30)), one_look)
    grows = report(GROWING, verdict=Overall.GROWING)
    assert against(grows, saved(still)).verdict is Overall.GROWING


def test_a_report_from_before_the_first_rate_was_kept_is_a_baseline_as_it_was():
    later = against(leaking(leak(OLD, rate_per_min=75.0)), saved(leaking(leak(OLD))))
    document = json.loads(encode(report_document(later)))
    del document["known"][0]["arrivals_then"]
    (entry,) = baseline_of([document], "baseline.json").entries
    assert entry.rate == Rate(75.0, 40)


def test_too_short_a_look_at_what_is_known_is_no_clean_one():
    short = leaking(leak(OLD), noticeable_per_min=None, observed_s=5.0)
    assert against(short, saved(leaking(leak(OLD)))).verdict is Overall.UNKNOWN


def test_native_growth_is_known_by_no_baseline():
    before = leaking(leak(OLD), native_grown=50)
    assert against(before, saved(before)).verdict is Overall.GROWING


# --- what is no baseline --------------------------------------------------------------------------

SOUND = json.loads(encode(report_document(leaking(leak(OLD)))))


@pytest.mark.parametrize(
    "documents",
    [
        [],
        [{"type": "start"}],
        [[]],
        [{"type": "summary"}],
        [SOUND | {"level": "colour"}],
        [SOUND | {"schema_version": "2.0"}],
        [{name: value for name, value in SOUND.items() if name != "schema_version"}],
        [SOUND | {"ended_at": "yesterday"}],
        [SOUND | {"leaks": [{"id": 3, "groups": []}]}],
        [SOUND | {"known": {}}],
    ],
)
def test_what_is_no_report_is_refused(documents):
    with pytest.raises((BadValue, KeyError)):
        baseline_of(documents, "baseline.json")


@pytest.mark.parametrize("content", ["", "words\n", '{"type":"start"}\n', "[]\n"])
def test_of_a_file_that_is_none_it_is_said_what_one_is(tmp_path, content):
    """Not what `diff` reads, which is a recording too."""
    (tmp_path / "b.json").write_text(content)
    with pytest.raises(UsageProblem) as raised:
        read_baseline(str(tmp_path / "b.json"))
    assert raised.value.advice.startswith("A baseline is the report that ")
