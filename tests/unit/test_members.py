"""Several processes from their samples to one report."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

from leakscope.baseline import baseline_of
from leakscope.commands.on_leak import OnLeak
from leakscope.engine import DEFAULT_VIEW, View
from leakscope.members import MAX_ENDED, Members
from leakscope.model import Target
from leakscope.policy import Trend
from leakscope.report import EndedBy, Kind, Overall
from leakscope.rounds import Ended, Joined, LeftOut, Of
from leakscope.wire import encode, report_document
from tests.samples import (
    QUEUE_GET,
    Life,
    every,
    lives,
    missed,
    own,
    pool,
    report_of,
    run_by,
    series,
    watched,
)

A, B = 4711, 4712


def of_process(sample, pid):
    """A sample as if it were of another process."""
    if not hasattr(sample, "threads"):
        return sample
    threads = [replace(one, key=one.key._replace(pid=pid)) for one in sample.threads]
    return replace(sample, threads=tuple(threads))


def looks(number, threads, *, pid=None, **fields):
    return [Of(number, of_process(one, pid or A + number)) for one in series(threads, **fields)]


def joined(number, *, pid=None, from_start=True):
    return Joined(number, Target(pid or A + number), from_start)


def taken(*events, view=DEFAULT_VIEW):
    members = Members(view)
    for event in events:
        members.observe(event)
    return members


def summary(members):
    return members.report(Kind.SUMMARY, EndedBy.DURATION, 1.0)


LEAK = [*pool(4), *lives(every(1.0, begin_s=1.0, end_s=60.0), QUEUE_GET, first=100)]
HEALTHY = pool(4)


def test_one_process_is_reported_as_by_its_engine():
    members = taken(joined(0), *looks(0, LEAK, until_s=60.0))
    assert summary(members) == report_of(watched(LEAK, until_s=60.0).engine)


def test_one_of_two_leaks():
    members = taken(
        joined(0), joined(1), *looks(0, HEALTHY, until_s=60.0), *looks(1, LEAK, until_s=60.0)
    )
    made = summary(members)
    assert made.leaks[0].by_process.keys() == {B}
    assert [member.verdict for member in made.members] == [Overall.CLEAN, Overall.LEAKING]
    assert members.verdict is made.verdict is Overall.LEAKING


def test_standings_are_those_of_the_report():
    members = taken(
        joined(0), joined(1), *looks(0, HEALTHY, until_s=60.0), *looks(1, LEAK, until_s=60.0)
    )
    stand = {one.id: (one.size, one.trend) for one in members.standings()}
    reported = {one.id: (one.size, one.verdict.trend) for one in summary(members).groups}
    assert stand == reported
    assert all(members.group(id_).size == size for id_, (size, _) in stand.items())


def test_a_reload_leaks_nothing():
    """Twice the workers for ten seconds, and each new one starts as many threads as the old."""
    events = [joined(0), joined(1)]
    events += [event for n in (0, 1) for event in looks(n, pool(20), until_s=40.0)]
    for n in (2, 3):
        events.append(joined(n, from_start=False))
        born = [Life(i, 30.0 + 0.01 * i) for i in range(20)]
        events += [one for one in looks(n, born, until_s=80.0) if one.look.elapsed_s > 31]
    events += [Ended(0, 40.5), Ended(1, 40.6)]
    made = summary(taken(*events))
    assert (made.verdict, made.leaks) == (Overall.CLEAN, ())
    assert {group.verdict.trend for group in made.groups} <= {Trend.STEADY, Trend.CHURNING}
    assert (made.threads, max(point.size for point in made.total_points)) == (40, 80)
    assert [member.ended_s for member in made.members] == [None, None, 40.5, 40.6]


def test_a_process_that_is_missed_keeps_its_count():
    events = [joined(0), joined(1), *looks(0, HEALTHY, until_s=20.0)]
    events += [*looks(1, HEALTHY, until_s=10.0), *(Of(1, missed(at)) for at in range(11, 20))]
    made = summary(taken(*events))
    assert (made.threads, made.missed) == (8, 9)
    assert {point.size for group in made.groups for point in group.points} == {8}


def test_a_leak_in_a_process_that_ended_stays_certain():
    events = [joined(0), joined(1), *looks(1, LEAK, until_s=60.0), Ended(1, 60.5)]
    members = taken(*events, *looks(0, HEALTHY, until_s=60.0))
    assert members.verdict is summary(members).verdict is Overall.LEAKING
    assert summary(members).leaks[0].by_process.keys() == {B}
    assert members.threads == 4


def test_all_have_ended():
    made = summary(taken(joined(0), *looks(0, HEALTHY, until_s=20.0), Ended(0, 20.5)))
    assert (made.verdict, made.threads, made.targets) == (Overall.CLEAN, 0, (Target(A),))
    assert made.observed_s == 20.5


def test_nothing_was_seen():
    made = summary(taken())
    assert (made.verdict, made.threads, made.targets) == (Overall.UNKNOWN, None, ())


def test_who_was_not_looked_at_yet_counts_for_nothing():
    members = taken(joined(0), *looks(0, HEALTHY, until_s=20.0), joined(1, from_start=False))
    assert summary(members).targets == (Target(A),)
    members.observe(Ended(1, 21.0))
    assert (summary(members).targets, summary(members).observed_s) == ((Target(A),), 20.0)


def test_what_is_left_out_is_said():
    left_out = LeftOut(("left out: sleep (4713), not Python",))
    members = taken(joined(0), *looks(0, HEALTHY, until_s=20.0), left_out)
    assert summary(members).not_seen[-1] == "left out: sleep (4713), not Python"


def test_thousands_of_short_lived_processes_cost_bounded_memory():
    members = taken(joined(0), *looks(0, HEALTHY, until_s=1.0))
    for n in range(1, 300):
        members.observe(joined(n, from_start=False))
        for event in looks(n, HEALTHY, until_s=1.0):
            members.observe(event)
        members.observe(Ended(n, 2.0))
    made = summary(members)
    assert len(made.targets) == 1 + MAX_ENDED
    assert f"ended: {299 - MAX_ENDED} more processes, which are not listed one by one" in (
        made.not_seen
    )
    assert made.samples == 600
    (group,) = made.groups
    assert (group.size, group.first, group.arrived, group.departed) == (4, 4, 299 * 4, 299 * 4)


def test_members_are_counted_as_they_are():
    members = taken(joined(0), joined(1), *looks(0, HEALTHY, until_s=5.0))
    for event in looks(1, pool(2), until_s=5.0):
        members.observe(event)
    assert members.threads_by_process == {A: 4, B: 2}
    assert (members.threads, members.os_threads, members.observed_s) == (6, 6, 5.0)
    assert (members.pid(1), members.targets) == (B, (Target(A), Target(B)))


def test_with_a_baseline_the_verdict_is_that_of_what_is_new():
    events = [
        joined(0), joined(1), *looks(0, HEALTHY, until_s=60.0), *looks(1, LEAK, until_s=60.0)
    ]  # fmt: skip
    before = json.loads(encode(report_document(summary(taken(*events)))))
    view = View(baseline=baseline_of([before], "baseline.json"))
    members = taken(*events, view=view)
    made = summary(members)
    assert members.verdict is made.verdict is Overall.CLEAN
    assert [member.verdict for member in made.members] == [Overall.CLEAN, Overall.CLEAN]
    assert [known.id for known in made.known] == [leak["id"] for leak in before["leaks"]]


class Counting(Members):
    """Counts the reports that are made."""

    made = 0

    def report(self, kind, ended_by, interval_s=None):
        self.made += 1
        return super().report(kind, ended_by, interval_s)


OTHER = lives(every(1.0, begin_s=1.0, end_s=60.0), run_by(own("other")), first=500)


def test_a_known_leak_beside_a_new_one_costs_no_report_a_round(tmp_path):
    """Else a leak that is not mended, and is known to all, takes more and more for ever."""
    known = json.loads(
        encode(report_document(summary(taken(joined(0), *looks(0, LEAK, until_s=60.0)))))
    )
    view = View(baseline=baseline_of([known], "baseline.json"))
    members = Counting(view)
    follow = OnLeak(f"cat >> {tmp_path}/told")

    def watched_so_far():
        return SimpleNamespace(members=members, report=lambda: summary(members))

    for event in (joined(0), *looks(0, [*LEAK, *OTHER], until_s=60.0)):
        members.observe(event)
    follow.sample(watched_so_far())
    made = members.made
    for second in range(61, 71):
        # Nothing but ticks: not one stack is read.
        members.observe(Of(0, missed(float(second))))
        follow.sample(watched_so_far())
        assert members.verdict is Overall.LEAKING
    assert members.made == made
    # Whatever is judged anew is looked at anew: what is known may be faster by now.
    members.judge_anew()
    follow.sample(watched_so_far())
    assert members.made > made
    follow.linger()
    (told,) = (tmp_path / "told").read_text().splitlines()
    assert json.loads(told)["leak"]["id"] not in [leak["id"] for leak in known["leaks"]]
