"""What follows a watch: one that fails takes nothing from the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from leakscope.commands.following import followed
from leakscope.errors import UsageProblem
from leakscope.output import ClosedPipe, Output
from leakscope.report import Report
from tests.builders import WATCH

ROUNDS = 3
FULL = "cannot write to /dev/full: No space left on device"


class Follow:
    """A follower that notes what it is told, and fails as it is told to."""

    def __init__(self, *, sample: Exception | None = None, finish: Exception | None = None) -> None:
        self.told: list[str] = []
        self._failures = {"sample": sample, "finish": finish}

    def sample(self, watched: Any) -> None:
        self._tell("sample")

    def finish(self, report: Report) -> None:
        self._tell("finish")

    def linger(self) -> None:
        self._tell("linger")

    def _tell(self, what: str) -> None:
        self.told.append(what)
        failure = self._failures.get(what)
        if failure is not None:
            raise failure


WHOLE = [*["sample"] * ROUNDS, "finish", "linger"]


def watching(_stop: Any, on_round: Callable[[Any], None]) -> Report:
    for _ in range(ROUNDS):
        on_round(None)
    return WATCH


def follow(*beside: Follow, out: str, **settings: bool) -> None:
    # In this format nothing is shown before the end.
    followed((), watching, Output(out), "folded", "never", quiet=True, beside=beside, **settings)


@pytest.mark.parametrize("gone", [UsageProblem(FULL), ClosedPipe()], ids=type)
def test_one_that_is_lost_on_the_way_ends_nothing_and_is_raised_at_the_end(tmp_path, capsys, gone):
    lost, other = Follow(sample=gone), Follow()
    with pytest.raises(type(gone)):
        follow(lost, other, out=str(tmp_path / "o"))
    assert lost.told == ["sample", "linger"]
    assert other.told == WHOLE
    assert (tmp_path / "o").exists()
    (said,) = capsys.readouterr().err.splitlines()
    assert said.endswith("; the watch goes on")


def test_each_is_finished_whatever_becomes_of_those_before_it(tmp_path, capsys):
    first = Follow(finish=UsageProblem(FULL, "Name another file."))
    second, third = Follow(finish=UsageProblem("another")), Follow()
    with pytest.raises(UsageProblem, match="/dev/full") as raised:
        follow(first, second, third, out="/dev/full")
    assert first.told == second.told == third.told == WHOLE
    assert raised.value.is_said
    assert capsys.readouterr().err.splitlines() == [
        f"leakscope: {FULL}",  # of the report itself
        f"leakscope: {FULL}",
        "  Name another file.",
        "leakscope: another",
    ]


class Ending:
    """A watch that notes its rounds; what shows it is lost with the first."""

    def __init__(self) -> None:
        self.rounds = 0

    def __call__(self, _stop: Any, on_round: Callable[[Any], None]) -> Report:
        for _ in range(ROUNDS):
            self.rounds += 1
            on_round(None)
        return WATCH


@pytest.mark.parametrize(
    ("settings", "rounds"),
    [({}, 1), ({"is_recorded": True}, ROUNDS), ({"of_program": True}, ROUNDS)],
    ids=["for nothing else", "recorded", "of a program"],
)
def test_a_watch_that_nothing_is_left_of_ends_at_once(monkeypatch, settings, rounds):
    watch, module = Ending(), "leakscope.commands.following"
    monkeypatch.setattr(f"{module}.AtTheEnd", lambda *_: Follow(sample=ClosedPipe()))
    with pytest.raises(ClosedPipe):
        followed((), watch, Output(), "folded", "never", quiet=True, **settings)
    assert watch.rounds == rounds
