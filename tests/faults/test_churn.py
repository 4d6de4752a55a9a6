"""Threads made and ended as fast as Python can: hardly a sample is lost, and no stack is torn."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from tests.documents import Document, checked_lines
from tests.faults.figures import Figures
from tests.pythons import find_pythons
from tests.running import running, watching

pytestmark = pytest.mark.attach

VERSIONS = ("3.8", "3.11", "3.13", "3.14")
EACH_S = 0.2
MINUTE_S, HALF_HOUR_S = 60, 1800
MOST_LOST = 0.01

# Who may stand above whom in the stacks of misfortunes.py when it churns, by the bare names of the
# functions; all else is the standard library's, and stands above or below itself only.
CALLERS = {
    "squared": {"live_briefly"},
    "live_briefly": {"run"},
    "wait_for_ever": {"run"},
    "_spawn": {"run"},
    "run": {"_bootstrap_inner"},
    "_bootstrap_inner": {"_bootstrap"},
    "serve": {"<module>"},
    "_answer": {"serve"},
}
# The outermost frames: of a thread, and of the main one.
OUTERMOST = {"_bootstrap", "<module>"}


def torn(frames: list[Document]) -> bool:
    """Whether a stack is none that the program can have. Innermost first; none read is no stack."""
    names = [frame["function"].rpartition(".")[2] for frame in frames]
    if not names:
        return False
    wrong = [
        (inner, outer)
        for inner, outer in pairwise(names)
        if outer not in CALLERS.get(inner, {outer}) or inner in OUTERMOST
    ]
    return bool(wrong) or names[-1] not in OUTERMOST


def churned(version: str, seconds: float) -> tuple[Document, int]:
    """The summary of a watch of a churning process, and how many threads came and went."""
    with running("misfortunes.py", python=find_pythons()[version]) as target:
        target.tell(f"churn {seconds + 60}")
        options = ("--every-dump", "-n", f"{EACH_S}s", "--duration", f"{seconds}s")
        made = int(target.tell("churned").split()[1])
        with watching(target.pid, *options, timeout_s=seconds + 60) as watch:
            assert watch.status() == 0, watch.stderr()
        made = int(target.tell("churned").split()[1]) - made
    assert watch.stderr() == ""
    return checked_lines("".join(watch.lines))[-1], made


def churn(seconds: float, figures: Figures) -> None:
    """Watch it on all versions, side by side, and hold what is said against what is true."""
    began_s = time.monotonic()
    versions = [version for version in VERSIONS if version in find_pythons()]
    with ThreadPoolExecutor() as side_by_side:
        runs = list(side_by_side.map(lambda version: churned(version, seconds), versions))
    for version, (summary, made) in zip(versions, runs, strict=True):
        looks = summary["samples"] + summary["missed"]
        stacks = [group["frames"] for group in summary["groups"]]
        figures.note(
            f"churn on Python {version}, {seconds:.0f} s",
            threads=made,
            samples=looks,
            lost=summary["missed"],
            dumps=summary["tries"],
            torn=sum(map(torn, stacks)),
            verdict=summary["verdict"],
        )
    assert time.monotonic() - began_s < seconds + 60
    for summary, made in runs:
        looks = summary["samples"] + summary["missed"]
        assert made > 100 * seconds
        assert summary["missed"] < MOST_LOST * looks
        # On a busy machine a sample may take longer than the interval; most must come in time.
        assert looks > seconds / EACH_S / 2
        assert (summary["verdict"], summary["leaks"]) == ("clean", [])
        assert [group["frames"] for group in summary["groups"] if torn(group["frames"])] == []


@pytest.mark.fault(
    "Threads and stacks",
    "threads are made and ended as fast as Python can, for a minute, on 3.8, 3.11, 3.13 and 3.14",
    "Less than 1 % of the samples are lost after retries; no stack is reported that the program "
    "cannot have; the verdict is `clean`.",
)
def test_a_minute_of_churn(figures):
    churn(MINUTE_S, figures)


@pytest.mark.fault(
    "Threads and stacks",
    "the same for half an hour",
    "The same.",
)
@pytest.mark.slow
def test_half_an_hour_of_churn(figures):
    churn(HALF_HOUR_S, figures)


@pytest.mark.parametrize(
    ("names", "is_torn"),
    [
        ("wait wait wait_for_ever run _bootstrap_inner _bootstrap", False),
        ("_bootstrap_inner _bootstrap", False),
        ("_bootstrap", False),
        ("serve <module>", False),
        ("", False),
        ("live_briefly", True),
        ("live_briefly run _bootstrap_inner", True),
        ("squared run _bootstrap_inner _bootstrap", True),
        ("serve run _bootstrap_inner _bootstrap", True),
        ("wait <module> _bootstrap", True),
    ],
)
def test_what_is_torn(names, is_torn):
    assert torn([{"function": name} for name in names.split()]) is is_torn
