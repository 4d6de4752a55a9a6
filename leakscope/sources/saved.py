"""Looks that were saved in a file: by leakscope, by py-spy, as JSON or text. Tells which it is."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from leakscope.baseline import Baseline, baseline_of
from leakscope.checked import (
    BadValue,
    count,
    fields,
    items,
    refuse,
    refuse_many,
    refuse_other_version,
    shown,
    whole,
    wrong,
)
from leakscope.checked import text as checked_text
from leakscope.diffing import Look, Stack
from leakscope.dumps import BadDump, threads_of
from leakscope.errors import UsageProblem
from leakscope.excuses import Excuse, excuses
from leakscope.model import Changes, Frame, Frames, Snapshot, ThreadKey
from leakscope.rounds import Ended, Of
from leakscope.sources.lines import BROKEN_GZIP, MAX_LINE, Lines, TooLong
from leakscope.sources.recording import Recording
from leakscope.stacks import Level
from leakscope.tape import MARK
from leakscope.text_dumps import BadText, looks_like_text, parse_text

STDIN = "-"

READABLE = (
    "It reads `leakscope dump --json`, `leakscope watch --json` and its recordings, and\n"
    "`py-spy dump`, as text or JSON; gzipped or not."
)

REPORT_WANTED = (
    "A baseline is the report that `leakscope watch`, `run`, `replay` or `dump` write with --json."
)

# What the objects of a recording have, by which they are told from leakscope's documents.
_RECORDING_KEYS = {MARK, "clk_tck", "t"}

_DECODER = json.JSONDecoder(parse_constant=refuse)
_BLANK = re.compile(r"\s*")


class _BadFile(ValueError):
    """What is wrong with a file, and in which line."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def read_saved(path: str) -> Look:
    """The last look that a file holds. Raises UsageProblem, with file and line number."""
    with saved_lines(path) as (name, lines):
        if is_recording(lines.first()[1]):
            return _of_recording(Recording(name, lines))
        return _of_lines(name, lines)


@contextmanager
def opened_saved(path: str, advice: str = READABLE) -> Iterator[Recording | Iterator[Any]]:
    """The recording that a file holds, or else its JSON documents, read as they are asked for.

    Raises UsageProblem, with file and line number; also when a document that is asked for is bad.
    `advice` is then given with what is wrong.
    """
    with saved_lines(path, advice) as (name, lines):
        number, first = lines.first()
        if is_recording(first):
            yield Recording(name, lines)
        elif _text(first).lstrip()[:1] == "{":
            yield (document for _, document in documents(lines))
        else:
            raise _BadFile("neither a recording nor JSON of leakscope's", number or 1)


def read_baseline(path: str) -> Baseline:
    """What a report in a file had already. Raises UsageProblem, with file and line number."""
    name = name_of(path)
    with opened_saved(path, REPORT_WANTED) as saved:
        if isinstance(saved, Recording):
            raise UsageProblem(
                f"{name} is a recording, and a baseline is a report",
                f"Make one of it: leakscope replay {name} --json > baseline.json",
            )
        try:
            return baseline_of(saved, name)
        except (BadValue, KeyError) as error:
            raise UsageProblem(f"{name} is no baseline: {wrong(error)}", REPORT_WANTED) from None


def read_excuses(path: str) -> tuple[Excuse, ...]:
    """What an --ignore-file leaves out, and why. Raises UsageProblem."""
    try:
        # Editors on Windows begin a file with a mark (BOM), which is no part of its first line.
        return excuses(Path(path).read_text(encoding="utf-8-sig").splitlines(), path)
    except OSError as error:
        raise UsageProblem(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise UsageProblem(f"{path} is not text in UTF-8: {error}") from None


def name_of(path: str) -> str:
    """What messages call a file."""
    return "standard input" if path == STDIN else path


@contextmanager
def saved_lines(path: str, advice: str = READABLE) -> Iterator[tuple[str, Lines]]:
    """The name of a file and its lines; what is wrong with them is said as UsageProblem."""
    name = name_of(path)
    try:
        with _opened(path) as file:
            yield name, Lines(file)
    except (_BadFile, TooLong) as error:
        where = name if error.line is None else f"{name}, line {error.line}"
        raise UsageProblem(f"{where}: {error}", advice) from None
    except BROKEN_GZIP as error:
        raise UsageProblem(f"{name} is not sound gzip: {error}") from None
    except OSError as error:
        raise UsageProblem(f"cannot read {name}: {error.strerror or error}") from None


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    if path == STDIN:
        yield sys.stdin.buffer
        return
    with Path(path).open("rb") as file:
        yield cast(BinaryIO, file)


def is_recording(first: bytes) -> bool:
    """Whether a file with this first line is a recording, leakscope's or made with py-spy."""
    if MARK.encode() in first[:100]:
        return True
    try:
        refuse_many(first)
        said = json.loads(first)
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and "type" not in said and not _RECORDING_KEYS.isdisjoint(said)


def _of_recording(recording: Recording) -> Look:
    """Its last sample. Which stack each thread is in is all that is asked of it: no engine."""
    every: dict[int, dict[ThreadKey, Frames]] = {}
    samples = 0
    for event in recording.events():
        if isinstance(event, Ended):
            every.pop(event.number, None)
        if not isinstance(event, Of):
            continue
        look, living = event.look, every.setdefault(event.number, {})
        if isinstance(look, Snapshot):
            every[event.number] = {thread.key: thread.frames for thread in look.threads}
        elif isinstance(look, Changes):
            for key in look.ended:
                living.pop(key, None)
            living |= {thread.key: thread.frames for thread in (*look.changed, *look.began)}
        samples += isinstance(look, Snapshot | Changes)
    if not samples:
        raise _BadFile("no sample in it has succeeded")
    name, lost = recording.path, recording.cut_off
    notes = (f"{name} was read up to where it is cut off ({lost})",) if lost else ()
    stacks = Counter(frames for living in every.values() for frames in living.values())
    return Look(name, _stacks(stacks), notes=notes)


def _stacks(counts: Counter[Frames]) -> tuple[Stack, ...]:
    return tuple(Stack(frames, count) for frames, count in counts.items())


def _of_lines(name: str, lines: Lines) -> Look:
    number, raw = lines.first()
    first = _text(raw)
    if looks_like_text(first):
        return _of_text(name, number, _whole_text(lines))
    if first.lstrip()[:1] in ("{", "["):
        return _of_documents(name, lines)
    if first.startswith("thread profile: "):
        raise _BadFile("leakscope's text is for reading; save the JSON (dump --json -o FILE)", 1)
    raise _BadFile("neither JSON nor the text of py-spy" if first else "empty", number or 1)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


# py-spy's text of 4096 threads with 60 frames each. In memory each line of it takes ten times that.
_MAX_TEXT = 16 * 1024 * 1024


def _whole_text(lines: Lines) -> str:
    parts: list[str] = []
    size = 0
    for number, raw in lines:
        size += len(raw)
        if size > _MAX_TEXT:
            raise _BadFile(f"more than {_MAX_TEXT >> 20} MiB of text", number)
        parts.append(_text(raw))
    return "".join(parts)


def _of_text(name: str, began: int, text: str) -> Look:
    try:
        stacks = parse_text(text)
    except BadText as error:
        raise _BadFile(str(error), began - 1 + error.line) from None
    # With --full-filenames all are absolute. Without, some still are: of files that are not there.
    is_whole = all(_is_absolute(frame.filename) for frames in stacks for frame in frames)
    return Look(name, _stacks(Counter(stacks)), is_whole=is_whole)


def _is_absolute(filename: str) -> bool:
    return filename.startswith(("/", "\\", "<")) or filename[1:2] == ":"


# --- JSON -----------------------------------------------------------------------------------------


def _of_documents(name: str, lines: Lines) -> Look:
    """The last dump, summary or list of py-spy's threads; the other lines of a watch say less."""
    last: Look | None = None
    for line, document in documents(lines):
        try:
            if isinstance(document, list):
                counts = Counter(thread.frames for thread in threads_of(document))
                last = Look(name, _stacks(counts))
            elif isinstance(document, dict) and document.get("type") in ("dump", "summary"):
                last = _of_report(name, document)
            elif not isinstance(document, dict) or "type" not in document:
                raise _BadFile("neither a report of leakscope's nor a dump of py-spy's", line)
        except BadDump as error:
            raise _BadFile(str(error), line) from None
        except (KeyError, BadValue) as error:
            raise _BadFile(f"not a report: {wrong(error)}", line) from None
    if last is None:
        raise _BadFile("no dump and no summary in it; a watch writes its summary as it ends")
    return last


def documents(lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, Any]]:
    """JSON values and the lines that they begin in: one a line, or over many as jq prints them.

    Only the value that is being read is kept, so that the file may be of any size.
    """
    parts: list[str] = []
    began = size = tried = 0
    for number, raw in lines:
        if not size:
            if raw.isspace():
                continue
            began = number
        parts.append(_text(raw))
        size += len(raw)
        if size > MAX_LINE:
            raise _BadFile(f"no end of a JSON value within {MAX_LINE >> 20} MiB", began)
        # A value of many lines is tried each time that twice as much is there, not at each line.
        if size >= 2 * tried:
            values, rest, began, error = values_in("".join(parts), began)
            yield from values
            if error and not error.may_end:
                raise _BadFile(error.why, error.line)
            parts, size, tried = [rest], len(rest), len(rest)
    values, rest, began, error = values_in("".join(parts), began)
    yield from values
    if error:
        raise _BadFile(error.why, error.line)


class NoValue(NamedTuple):
    """Why a text is no JSON value."""

    why: str  # in one line
    line: int  # where that shows
    next_at: int  # where in the text the line behind it begins
    may_end: bool  # it is right so far: what is missing may follow


class Values(NamedTuple):
    """The JSON values that a text begins with, each with its line."""

    values: list[tuple[int, Any]]
    rest: str  # behind the last of them
    line: int  # that the rest begins in
    error: NoValue | None  # None: nothing is left


def values_in(text: str, line: int) -> Values:
    """The values of a text that begins in this line of a file, up to what is none.

    No value's token goes over the end of a line, and a text that is tried ends with one.
    """
    values: list[tuple[int, Any]] = []
    at = 0
    try:
        refuse_many(text)
        while True:
            blank = _BLANK.match(text, at)
            end = blank.end() if blank else at
            line += text.count("\n", at, end)
            at = end
            if at == len(text):
                return Values(values, "", line, None)
            value, end = _DECODER.raw_decode(text, at)
            values.append((line, value))
            line += text.count("\n", at, end)
            at = end
    except json.JSONDecodeError as error:
        why, stop = error.msg, min(error.pos, len(text))
        seen_in, may_end = line + text.count("\n", at, stop), not text[stop:].strip()
    except (ValueError, RecursionError) as error:
        # Too deep, or too much: what follows in this text is not looked at either.
        why, stop, seen_in, may_end = wrong(error), len(text), line, False
    next_at = (text.find("\n", stop) + 1 or len(text)) - at
    return Values(values, text[at:], line, NoValue(f"not JSON: {why}", seen_in, next_at, may_end))


def _of_report(name: str, report: dict[str, Any]) -> Look:
    refuse_other_version(report)
    level = checked_text(report["level"])
    if level not in tuple(Level):
        raise BadValue(f"{shown(level)} is no level")
    # The groups of a leak are there at the function level too, whatever is shown.
    groups = [group for group in map(fields, items(report["groups"])) if group["level"] == level]
    stacks = [Stack(_frames(group["frames"]), count(group["count"])) for group in groups]
    return Look(name, tuple(stack for stack in stacks if stack.size), Level(level))


def _frames(frames: Any) -> Frames:
    return tuple(
        Frame(
            checked_text(frame["function"]),
            checked_text(frame["filename"]),
            0 if frame["line"] is None else whole(frame["line"]),
        )
        for frame in map(fields, items(frames))
    )
