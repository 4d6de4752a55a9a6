"""The figures that a report is scraped for: what is told apart, what is bounded, what vanishes."""

from __future__ import annotations

import json
from dataclasses import replace

from leakscope.baseline import against, baseline_of
from leakscope.levels import Level
from leakscope.limits import Deadline, Limit
from leakscope.metrics import KNOWN, TOP_GROUPS, Family, families
from leakscope.policy import Trend, Verdict
from leakscope.report import Cost, Report
from leakscope.wire import encode, report_document
from tests.builders import (
    LEAKING,
    POOL,
    WATCH,
    frame,
    getting,
    group,
    leak,
    nothing,
    report,
    started,
    stay,
)


def by_name(found: Report) -> dict[str, Family]:
    return {family.name: family for family in families(found)}


def labels_of(found: Report, name: str) -> list[dict[str, str]]:
    family = by_name(found).get(f"leakscope_{name}")
    return [dict(sample.labels) for sample in family.samples] if family else []


def suspects(number: int) -> Report:
    return report(
        *(
            group(9 + i, started(frame(f"consume_{i}")), Trend.LEAKING, id=f"{i:012x}")
            for i in range(number)
        )
    )


def test_only_groups_that_leak_or_grow_have_series_the_worst_first():
    assert [labels["group"] for labels in labels_of(WATCH, "group_threads")] == [
        LEAKING.id,
        POOL.id,  # warming
    ]


def test_where_and_what_for_stand_on_one_series_and_the_verdict_on_one_of_its_own():
    assert labels_of(WATCH, "group_threads")[0].keys() == {"group", "site", "wait"}
    assert labels_of(WATCH, "group_verdict")[0] == {"group": LEAKING.id, "verdict": "leaking"}
    for name in ("group_growth_threads_per_second", "group_oldest_age_seconds"):
        assert labels_of(WATCH, name)[0] == {"group": LEAKING.id}


def test_a_site_is_the_same_in_any_folder_and_at_any_line():
    def site(folder: str, line: int) -> str:
        frames = getting(frame("consume", f"{folder}/jobs.py", line))
        found = report(group(9, frames, Trend.LEAKING))
        return labels_of(found, "group_threads")[0]["site"]

    assert site("/srv/app-1.2", 41) == site("/home/me/app", 57) == "jobs.py:consume"


def test_there_are_so_many_groups_at_most_and_the_biggest_stay():
    shown = labels_of(suspects(TOP_GROUPS + 5), "group_threads")
    assert len(shown) == TOP_GROUPS
    assert shown[0]["group"] == f"{TOP_GROUPS + 4:012x}"


def test_a_group_that_has_ended_has_no_series():
    ended = group(0, trend=Trend.LEAKING, members=())
    assert labels_of(report(ended, leaks=(leak(ended),)), "group_threads") == []


def test_a_group_that_leaks_along_with_another_has_the_verdict_of_the_leak():
    main = group(9, started(frame("main")), Trend.LEAKING)
    along = group(9, started(frame("along")), Trend.STEADY)
    found = report(main, along, leaks=(leak(main, along),))
    assert {labels["group"] for labels in labels_of(found, "group_verdict")} == {main.id, along.id}
    assert {labels["verdict"] for labels in labels_of(found, "group_verdict")} == {"leaking"}


def test_what_a_baseline_had_is_known_and_no_figure_that_has_an_alert():
    old = group(40, getting(frame("old")), Trend.LEAKING)
    grows = group(9, getting(frame("grows")), Trend.GROWING, first=3)
    new = group(20, getting(frame("new")), Trend.LEAKING)
    near = Deadline(Limit("pids.max 64", 60, 64, 1.0), 60.0, 50.0, None)
    before = report(old, grows, leaks=(leak(old),))
    baseline = baseline_of([json.loads(encode(report_document(before)))], "baseline.json")

    same = against(replace(before, deadline=near), baseline)
    assert {labels["verdict"] for labels in labels_of(same, "group_verdict")} == {KNOWN}
    assert len(labels_of(same, "group_threads")) == 2
    assert labels_of(same, "limit_seconds") == []

    worse = report(old, grows, new, leaks=(leak(old), leak(new)), deadline=near)
    assert labels_of(against(worse, baseline), "group_verdict") == [
        {"group": new.id, "verdict": "leaking"},
        {"group": old.id, "verdict": KNOWN},
        {"group": grows.id, "verdict": KNOWN},
    ]
    assert labels_of(against(worse, baseline), "limit_seconds")


def test_threads_without_a_stack_are_no_suspect_and_have_a_figure_of_their_own():
    """Their group has one id on every machine, and would be the same leak on all of them."""
    unread = group(40, (), Trend.GROWING)
    found = report(group(9, trend=Trend.LEAKING), unread)
    assert unread.id not in {labels["group"] for labels in labels_of(found, "group_threads")}
    (sample,) = by_name(found)["leakscope_unread_threads"].samples
    assert sample.value == 40


def test_a_thread_is_counted_at_one_level_only():
    other = group(9, trend=Trend.LEAKING, level=Level.LINE)
    found = report(group(9, trend=Trend.LEAKING), other)
    assert len(labels_of(found, "group_threads")) == 1


def test_growth_is_the_rate_of_a_leak_else_what_changed():
    leaking = group(9, verdict=Verdict(Trend.LEAKING, rate_per_min=120.0))
    growing = group(33, started(frame("other")), Trend.GROWING, first=3)
    family = by_name(report(leaking, growing))["leakscope_group_growth_threads_per_second"]
    assert [sample.value for sample in family.samples] == [2.0, 0.5]


def test_the_age_is_that_of_the_oldest_thread():
    found = report(group(members=[stay(1, began_s=-40.0), stay(2)], trend=Trend.LEAKING))
    (sample,) = by_name(found)["leakscope_group_oldest_age_seconds"].samples
    assert sample.value == 100.0


def test_what_is_not_known_is_left_out():
    names = by_name(nothing()).keys()
    assert "leakscope_target_threads" not in names
    assert "leakscope_last_sample_timestamp_seconds" not in names
    assert not any(name.startswith("leakscope_group") for name in names)
    assert "leakscope_cpu_seconds" not in names
    assert "leakscope_samples" in names


def test_the_nearest_limit_and_the_cost_are_told():
    limit = Limit("pids.max 2048 (cgroup /pod1)", 100, 2048, 1.0)
    found = by_name(
        report(
            deadline=Deadline(limit, 3600.0, 3000.0, None),
            cost=Cost(1.5, 10, 2, 60, 0.0, own_cpu_s=0.25),
        )
    )
    (until,) = found["leakscope_limit_seconds"].samples
    assert (until.labels, until.value) == ({"limit": "pids.max"}, 3600.0)
    assert [sample.value for sample in found["leakscope_dumps"].samples] == [8, 2]
    assert sum(sample.value for sample in found["leakscope_cpu_seconds"].samples) == 1.75
