"""All that saved documents know of one group, put together again. Pure: JSON values in.

It is read from the documents and not from a Report, so that a recording, which is judged anew, and
a report, of which only the JSON is left, are told of in the same words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from leakscope.checked import BadValue, count, fields, items, last_report, shown, span, text, whole
from leakscope.checked import seconds as checked_seconds
from leakscope.facts import Point
from leakscope.limits import Deadline, Limit
from leakscope.model import Frame, Frames

Document = Mapping[str, Any]


class KnownThread(NamedTuple):
    """One thread of a group, as it was last seen."""

    pid: int
    tid: int | None
    name: str | None
    age_s: float | None
    state: str
    wait: str | None


class KnownLeak(NamedTuple):
    """A leak that names the group."""

    number: int  # of the report's leaks
    threads: int
    rate_per_min: float
    rate_basis: str
    evidence: tuple[str, ...]
    why: str | None
    cure: str | None


class KnownAlready(NamedTuple):
    """What a baseline had already, and that names the group."""

    threads: int
    rate_per_min: float | None
    since: str | None  # ISO 8601
    known_by: str  # a whole sentence
    evidence: tuple[str, ...]
    why: str | None
    cure: str | None


class Turn(NamedTuple):
    """A change of the group's verdict, as a watch told it when it came."""

    at: str  # ISO 8601
    was: str | None
    verdict: str
    size: int


class Account(NamedTuple):
    """All that is known of a group."""

    id: str
    level: str
    verdict: str
    site: Frame | None
    entry: Frame | None
    wait: str | None
    frames: Frames  # innermost first
    evidence: tuple[str, ...]
    states: Mapping[str, int]  # threads by what they do: blocked, running, unknown
    size: int
    first: int
    peak: int
    arrived: int
    departed: int
    born: int
    ended: int
    rate_per_min: float | None
    points: tuple[Point, ...]
    threads: tuple[KnownThread, ...]
    by_process: Mapping[str, int]
    leaks: tuple[KnownLeak, ...]
    known: tuple[KnownAlready, ...]
    deadline: Deadline | None  # of all leaks together; None where this group is in none
    turns: tuple[Turn, ...]
    began_at: str | None
    ended_at: str | None
    observed_s: float | None
    samples: int


def accounts(documents: Sequence[Any], wanted: str = "") -> tuple[Account, ...]:
    """The groups whose ids begin with `wanted`, as the last report among the documents has them.

    Raises BadValue, or KeyError, where a document is no report of leakscope's.
    """
    report = last_report(documents)
    turns: dict[str, list[Turn]] = {}
    for said in map(fields, documents):
        if said.get("type") == "change" and text(said["id"]).startswith(wanted):
            turns.setdefault(said["id"], []).append(_turn(said))
    groups = (fields(group) for group in items(report["groups"]))
    return tuple(
        _account(group, report, tuple(turns.get(group["id"], ())))
        for group in groups
        if text(group["id"]).startswith(wanted)
    )


def _account(group: dict[str, Any], report: dict[str, Any], turns: tuple[Turn, ...]) -> Account:
    leaks = tuple(_leaks(report, group["id"]))
    return Account(
        id=text(group["id"]),
        level=text(group["level"]),
        verdict=text(group["verdict"]),
        site=_frame_or_none(group["site"]),
        entry=_frame_or_none(group["entry"]),
        wait=_text_or_none(group["wait"]),
        frames=tuple(_frame(frame) for frame in items(group["frames"])),
        evidence=_texts(group["evidence"]),
        states={state: count(group[state]) for state in ("blocked", "running", "unknown")},
        size=count(group["count"]),
        first=count(group["first"]),
        peak=count(group["peak"]),
        arrived=count(group["arrived"]),
        departed=count(group["departed"]),
        born=count(group["born"]),
        ended=count(group["ended"]),
        rate_per_min=_number_or_none(group["rate_per_min"]),
        points=tuple(_points(group["points"])),
        threads=tuple(_thread(thread) for thread in items(group["threads"])),
        by_process={pid: count(size) for pid, size in fields(group["by_process"]).items()},
        leaks=leaks,
        known=tuple(_known(report, group["id"])),
        deadline=_deadline(report["deadline"]) if leaks else None,
        turns=turns,
        began_at=_text_or_none(report["began_at"]),
        ended_at=_text_or_none(report["ended_at"]),
        observed_s=_number_or_none(report["observed_s"]),
        samples=count(report["samples"]),
    )


def _leaks(report: dict[str, Any], id_: str) -> Iterator[KnownLeak]:
    for number, leak in enumerate(map(fields, items(report["leaks"])), 1):
        if id_ not in items(leak["groups"]):
            continue
        why, cure = _why_and_cure(leak["culprit"], leak["cause"])
        yield KnownLeak(
            number,
            count(leak["count"]),
            checked_seconds(leak["rate_per_min"]),
            text(leak["rate_basis"]),
            _texts(leak["evidence"]),
            why,
            cure,
        )


def _known(report: dict[str, Any], id_: str) -> Iterator[KnownAlready]:
    for known in map(fields, items(report.get("known", []))):
        if id_ not in items(known["groups"]):
            continue
        why, cure = _why_and_cure(known.get("culprit"), known.get("cause"))
        yield KnownAlready(
            count(known["count"]),
            _number_or_none(known["rate_per_min"]),
            _text_or_none(known["since"]),
            text(known["why"]),
            _texts(known.get("evidence", [])),
            why,
            cure,
        )


def _why_and_cure(culprit: Any, cause: Any) -> tuple[str | None, str | None]:
    """A library that is known to leak so says more than any guess."""
    if culprit is not None:
        said = fields(culprit)
        library, what, source = (text(said[name]) for name in ("library", "what", "source"))
        return f"{library}: {what} ({source})", text(said["cure"])
    if cause is not None:
        said = fields(cause)
        return text(said["why"]), text(said["cure"])
    return None, None


def _deadline(said: Any) -> Deadline | None:
    if said is None:
        return None
    deadline = fields(said)
    # What one thread takes is in no document, and the words about a deadline have no need of it.
    limit = Limit(text(deadline["limit"]), count(deadline["used"]), count(deadline["allowed"]), 0.0)
    return Deadline(
        limit,
        span(deadline["seconds"]),
        span(deadline["earliest_s"]),
        None if deadline["latest_s"] is None else span(deadline["latest_s"]),
    )


def _points(said: Any) -> Iterator[Point]:
    for pair in items(said):
        if len(items(pair)) != 2:
            raise BadValue(f"{shown(pair)} is no time with a size")
        yield Point(checked_seconds(pair[0]), count(pair[1]))


def _turn(said: dict[str, Any]) -> Turn:
    return Turn(
        text(said["at"]), _text_or_none(said["was"]), text(said["verdict"]), count(said["count"])
    )


def _thread(said: Any) -> KnownThread:
    thread = fields(said)
    return KnownThread(
        whole(thread["pid"]),
        None if thread["tid"] is None else whole(thread["tid"]),
        _text_or_none(thread["name"]),
        None if thread["age_s"] is None else span(thread["age_s"]),
        text(thread["state"]),
        _text_or_none(thread["wait"]),
    )


def _frame_or_none(said: Any) -> Frame | None:
    return None if said is None else _frame(said)


def _frame(said: Any) -> Frame:
    frame = fields(said)
    line = 0 if frame["line"] is None else whole(frame["line"])
    return Frame(text(frame["function"]), text(frame["filename"]), line)


def _texts(said: Any) -> tuple[str, ...]:
    return tuple(text(one) for one in items(said))


def _text_or_none(said: Any) -> str | None:
    return None if said is None else text(said)


def _number_or_none(said: Any) -> float | None:
    return None if said is None else checked_seconds(said)
