"""A leak is told with how it waits, why it leaks and who is known to leak so."""

from __future__ import annotations

from leakscope.explaining import explained
from leakscope.facts import Stay
from leakscope.leaks import Leak
from leakscope.model import Parking
from tests.builders import LIB, frame, getting, group, key, leak, started, stay, stays
from tests.samples import EXECUTOR_IDLE

FOREVER = Parking(202, deadline=False)
FOR_EVER = "They wait without a deadline: by themselves they will never wake up."


def told(of: Leak, members: tuple[Stay, ...], python: str | None = "3.11.7") -> Leak:
    """The leak explained from these threads."""
    return explained(of, {member.key: member for member in members}, python)


def leak_of(members: tuple[Stay, ...], **fields: object) -> Leak:
    """A leak of all these threads."""
    return leak(group(members=members, frames=members[0].frames), **fields)


def test_evidence_is_added_after_that_of_the_verdict():
    members = stays(3, parking=FOREVER)
    of = leak_of(members)
    assert told(of, members).evidence == (*of.evidence, FOR_EVER)


def test_all_else_stays_as_it_was():
    members = stays(3, parking=FOREVER)
    of = leak_of(members)
    after = told(of, members)
    for name in ("id", "trend", "groups", "leaked", "rate_per_min", "rate_basis", "wait", "frames"):
        assert getattr(after, name) == getattr(of, name)


def test_only_its_own_threads_are_evidence():
    members = stays(3, parking=FOREVER)
    others = stays(9, first=50, parking=Parking(202, deadline=True))
    assert told(leak_of(members), (*members, *others)).evidence[-1] == FOR_EVER


def test_threads_that_are_not_there_any_more_are_passed_over():
    members = stays(3, parking=FOREVER)
    of = leak_of(members, leaked=(*(member.key for member in members), key(99)))
    assert told(of, members).evidence[-1] == FOR_EVER
    assert told(of, ()).evidence == of.evidence


def test_what_is_said_of_locks_depends_on_the_python():
    members = stays(3, wait="lock", parking=Parking(202, futex=0x7F00))
    of = leak_of(members, wait="lock")
    assert "one and the same place" in " ".join(told(of, members, "3.13.1").evidence)
    assert "do not show" in " ".join(told(of, members, "3.14.1").evidence)
    assert told(of, members, None).evidence == of.evidence


def test_a_consumer_has_a_cause_and_no_culprit():
    members = stays(3, frames=getting())
    after = told(leak_of(members), members)
    assert after.cause is not None
    assert after.cause.why.endswith(".")
    assert after.cause.cure
    assert after.culprit is None


def test_the_names_of_the_threads_tell_of_executors():
    members = tuple(
        stay(n, frames=EXECUTOR_IDLE, wait="executor idle", name=f"ThreadPoolExecutor-{n}_0")
        for n in range(1, 6)
    )
    cause = told(leak_of(members), members).cause
    assert cause is not None
    assert (cause.id, cause.certain) == ("executor-per-call", False)


def test_without_names_it_is_a_hint():
    members = stays(5, frames=EXECUTOR_IDLE, wait="executor idle", name=None)
    cause = told(leak_of(members), members).cause
    assert cause is not None
    assert not cause.certain


def test_a_known_culprit_is_named():
    path = f"{LIB}/site-packages/watchdog/observers/api.py"
    frames = started(
        frame("Condition.wait", f"{LIB}/threading.py", 327),
        frame("Queue.get", f"{LIB}/queue.py", 171),
        frame("EventDispatcher.run", path, 9),
    )
    members = stays(5, frames=frames)
    culprit = told(leak_of(members), members).culprit
    assert culprit is not None
    assert culprit.library == "watchdog"
