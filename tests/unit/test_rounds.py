"""Several processes at a tick: who joins, who is missed, who ends; each fails on its own."""

from __future__ import annotations

import threading

import pytest

from leakscope.errors import LeakscopeError, NoSuchProcess, NotPermitted, Unsupported
from leakscope.model import Missed, Snapshot, Target
from leakscope.report import NO_COST, EndedBy
from leakscope.rounds import Ended, Joined, LeftOut, Of
from leakscope.sources.rounds import Rounds
from leakscope.sources.stopping import Stop
from leakscope.sources.timetable import Schedule
from leakscope.sources.tree import Found

GONE = NoSuchProcess("process 2 has ended")
SNAPSHOT = Snapshot(1.0, 1.0, ())
MISSED = Missed(1.0, 1.0, "py-spy: it said nothing")


class NoWait(Stop):
    """A Stop that never waits."""

    def wait(self, seconds):
        return False


class Family:
    """Which processes are there, round by round; the last round lasts."""

    def __init__(self, *rounds, left_out=()):
        self._rounds = list(rounds)
        self._left_out = left_out

    def find(self):
        found = self._rounds.pop(0) if len(self._rounds) > 1 else self._rounds[0]
        if isinstance(found, LeakscopeError):
            raise found
        return [one if isinstance(one, Found) else Found(one, 100.0, "python") for one in found]

    def left_out(self):
        return self._left_out


class Script:
    """What looking at each process comes to, look by look; the last one lasts."""

    def __init__(self, **looks):
        self._looks = {int(pid.strip("p")): list(said) for pid, said in looks.items()}
        self.opened = []

    def open(self, pid):
        self.opened.append(pid)
        said = self._looks.get(pid, [SNAPSHOT])

        class Source:
            cost = NO_COST

            def look(self, *, last=False):
                one = said.pop(0) if len(said) > 1 else said[0]
                if isinstance(one, LeakscopeError):
                    raise one
                return one() if callable(one) else one

            def close(self):
                pass

        return Source()


def rounds(family, script, count, **settings):
    stop = NoWait()
    source = Rounds(
        family,
        Schedule(30.0, count=count),  # no look takes as long as that
        stop,
        open_source=script.open,
        describe=Target,
        **settings,
    )
    try:
        return source, list(source.rounds())
    finally:
        stop.close()


def looked(events):
    return [event.number for event in events if isinstance(event, Of)]


def test_each_is_looked_at_in_each_round():
    source, seen = rounds(Family([1, 2]), Script(), 3)
    assert seen[0] == (
        Joined(0, Target(1), True),
        Of(0, SNAPSHOT),
        Joined(1, Target(2), True),
        Of(1, SNAPSHOT),
    )
    assert seen[1:] == [(Of(0, SNAPSHOT), Of(1, SNAPSHOT))] * 2
    assert source.ended_by is EndedBy.COUNT


def test_who_comes_later_joins_then():
    _, seen = rounds(Family([1], [1, 2]), Script(), 2)
    assert Joined(1, Target(2), False) in seen[1]


def test_one_that_is_missed_does_not_end_the_others():
    _, seen = rounds(Family([1, 2]), Script(p2=[SNAPSHOT, MISSED, SNAPSHOT]), 3)
    assert [looked(events) for events in seen] == [[0, 1]] * 3
    assert Of(1, MISSED) in seen[1]


def test_an_error_after_the_first_sample_is_a_miss():
    refusal = Unsupported("py-spy cannot read it")
    _, seen = rounds(Family([1, 2]), Script(p2=[SNAPSHOT, refusal, SNAPSHOT]), 3)
    (look,) = [event.look for event in seen[1] if isinstance(event, Of) and event.number == 1]
    assert isinstance(look, Missed)
    assert look.reason == "py-spy cannot read it"
    assert Of(1, SNAPSHOT) in seen[2]


def test_one_that_ends_is_told_once():
    _, seen = rounds(Family([1, 2], [1, 2], [1]), Script(p2=[SNAPSHOT, GONE]), 4)
    assert [sum(isinstance(event, Ended) for event in events) for events in seen] == [0, 1, 0, 0]
    assert [looked(events) for events in seen] == [[0, 1], [0], [0], [0]]


def test_one_that_lost_its_parent_is_watched_on():
    _, seen = rounds(Family([1, 2], [1]), Script(), 3)
    assert [looked(events) for events in seen] == [[0, 1]] * 3


def test_a_pid_that_was_given_away_is_another_process():
    script = Script(p2=[SNAPSHOT])
    _, seen = rounds(Family([1, 2], [1, Found(2, 999.0, "python")]), script, 3)
    assert script.opened.count(2) == 2
    kinds = [type(event) for event in seen[1]]
    assert kinds.index(Ended) < kinds.index(Joined)
    assert Joined(2, Target(2), False) in seen[1]
    assert looked(seen[2]) == [0, 2]


def test_one_that_runs_another_program_now_has_ended():
    refusal = Unsupported("process 2 is not a Python process")
    _, seen = rounds(Family([1, 2], [1]), Script(p2=[SNAPSHOT, refusal]), 3)
    assert isinstance(seen[1][0], Ended)
    assert looked(seen[2]) == [0]


def test_one_that_is_not_ready_yet_joins_when_it_is():
    _, seen = rounds(Family([1, 2]), Script(p2=[MISSED, MISSED, SNAPSHOT]), 4)
    assert [looked(events) for events in seen] == [[0], [0], [0, 1], [0, 1]]
    assert Joined(1, Target(2), False) in seen[2]


def test_one_that_may_not_be_looked_at_is_named_and_not_tried_again():
    refusal = NotPermitted("not permitted to look into process 2")
    script = Script(p2=[refusal, SNAPSHOT])
    _, seen = rounds(Family([1, 2]), script, 3)
    said = LeftOut(("left out: process 2: not permitted to look into process 2",))
    assert [event for events in seen for event in events if isinstance(event, LeftOut)] == [said]
    assert [looked(events) for events in seen] == [[0]] * 3


def left_out(seen):
    return [event.lines for events in seen for event in events if isinstance(event, LeftOut)][-1]


def test_one_that_may_not_be_looked_at_stays_named_when_it_has_ended():
    """Whatever leaked in it, the report would else be `clean`, and not a word of it."""
    refusal = NotPermitted("not permitted to look into process 2")
    source, seen = rounds(Family([1, 2], [1]), Script(p2=[refusal]), 4)
    said = ("left out: process 2: not permitted to look into process 2",)
    assert left_out(seen) == source.left_out() == said


def test_the_first_refusal_is_told_at_once():
    """The report that names it comes when the program has ended, which may take an hour."""
    told: list[LeakscopeError] = []
    no, neither = NotPermitted("no"), NotPermitted("neither")
    family = Family([1, 2, 3], GONE)
    rounds(family, Script(p2=[no], p3=[neither]), 9, may_be_none=True, on_refusal=told.append)
    assert told == [no]


def test_one_that_was_only_not_ready_is_not_named_when_it_has_ended():
    source, _ = rounds(Family([1, 2], [1]), Script(p2=[Unsupported("just starting")]), 4)
    assert source.left_out() == ()


def test_of_those_that_may_not_be_looked_at_and_have_ended_not_all_are_named():
    many = range(2, 102)
    family = Family([1], *([1, pid] for pid in many), [1])
    script = Script(**{f"p{pid}": [NotPermitted("no")] for pid in many})
    source, seen = rounds(family, script, 103)
    *named, rest = source.left_out()
    assert (len(named), rest) == (20, "left out: 80 more processes that could not be looked at")
    assert left_out(seen) == source.left_out()


def test_one_that_is_refused_is_tried_thrice():
    script = Script(p2=[Unsupported("a Python too new"), Unsupported("again"), SNAPSHOT])
    _, seen = rounds(Family([1, 2]), script, 4)
    assert [looked(events) for events in seen] == [[0], [0], [0, 1], [0, 1]]


def test_what_is_left_out_is_told_when_it_changes():
    said = ("left out: sleep (4), not Python",)
    _, seen = rounds(Family([1], left_out=said), Script(), 3)
    assert [LeftOut(said) in events for events in seen] == [True, False, False]


def test_the_end_of_the_root_ends_the_watch():
    source, seen = rounds(Family([1], [1], NoSuchProcess("there is no process 1")), Script(), 9)
    assert (len(seen), source.ended_by) == (2, EndedBy.TARGET_EXITED)


def test_no_root_at_all():
    with pytest.raises(NoSuchProcess, match="there is no process 1"):
        rounds(Family(NoSuchProcess("there is no process 1")), Script(), 9)


def test_nothing_that_is_python():
    with pytest.raises(Unsupported, match="no Python process") as raised:
        rounds(Family([], left_out=("left out: sh (1), not Python",)), Script(), 9)
    assert raised.value.advice == "left out: sh (1), not Python"


def test_nothing_that_may_be_looked_at():
    with pytest.raises(NotPermitted, match="not permitted"):
        rounds(Family([1]), Script(p1=[NotPermitted("not permitted")]), 9)


def test_one_look_that_is_missed_is_no_report():
    with pytest.raises(LeakscopeError, match="it said nothing"):
        rounds(Family([1]), Script(p1=[MISSED]), 1)


def test_where_there_may_be_none_rounds_without_one_do_not_count():
    source, seen = rounds(Family([], [], [], [], [1]), Script(), 2, may_be_none=True)
    assert seen == [(Joined(0, Target(1), True), Of(0, SNAPSHOT)), (Of(0, SNAPSHOT),)]
    assert source.ended_by is EndedBy.COUNT


def test_where_there_may_be_none_it_is_no_fault_that_there_never_was_one():
    family = Family([], [], [], [], GONE, left_out=("left out: sh (4711), not Python",))
    source, seen = rounds(family, Script(), 9, may_be_none=True)
    assert seen == []
    assert source.ended_by is EndedBy.TARGET_EXITED
    assert source.left_out() == ("left out: sh (4711), not Python",)


@pytest.mark.parametrize("refusal", [NotPermitted("no"), Unsupported("no")], ids=type)
def test_where_there_may_be_none_a_refusal_is_a_fault(refusal):
    with pytest.raises(type(refusal)):
        rounds(Family([1], [1], [1], [1], GONE), Script(p1=[refusal]), 9, may_be_none=True)


def test_who_ends_with_the_watch_is_reported_as_it_was():
    class Over(NoWait):
        def wait(self, seconds):
            self.target_ended = seconds < 1.0  # not so while the next round is waited for
            return False

    stop = Over()
    source = Rounds(
        Family([1, 2]), Schedule(30.0, count=2), stop,
        open_source=Script(p2=[SNAPSHOT, GONE]).open, describe=Target,
    )  # fmt: skip
    events = [event for events in source.rounds() for event in events]
    stop.close()
    assert not [event for event in events if isinstance(event, Ended)]


def test_a_dump_that_hangs_holds_up_no_other():
    hung = threading.Event()

    def hang():
        assert hung.wait(30)
        return SNAPSHOT

    class Freeing(Family):
        """Lets the hung dump go on in the fourth round."""

        asked = 0

        def find(self):
            self.asked += 1
            if self.asked == 4:
                hung.set()
            return super().find()

    stop = NoWait()
    source = Rounds(
        Freeing([1, 2]),
        Schedule(0.05, count=6),
        stop,
        open_source=Script(p2=[SNAPSHOT, hang, SNAPSHOT]).open,
        describe=Target,
    )
    seen = [looked(events) for events in source.rounds()]
    stop.close()
    assert all(0 in numbers for numbers in seen)
    assert [1 in numbers for numbers in seen[:3]] == [True, False, False]
    assert any(1 in numbers for numbers in seen[3:])
