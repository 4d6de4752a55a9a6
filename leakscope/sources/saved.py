"""Looks that were saved in a file: by leakscope, by py-spy, as JSON or text. Tells which it is."""

from __future__ import annotations

import gzip
import io
import json
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from leakscope.diffing import Look, Stack
from leakscope.dumps import BadDump, threads_of
from leakscope.errors import UsageProblem
from leakscope.model import Changes, Frame, Frames, Snapshot, ThreadKey
from leakscope.rounds import Ended, Of
from leakscope.sources.recording import MAX_LINE, Recording, unpacked
from leakscope.stacks import Level
from leakscope.tape import MARK
from leakscope.text_dumps import BadText, looks_like_text, parse_text

STDIN = "-"

READABLE = (
    "It reads `leakscope dump --json`, `leakscope watch --json` and its recordings, and\n"
    "`py-spy dump`, as text or JSON; gzipped or not."
)

# What the objects of a recording have, by which they are told from leakscope's documents.
_RECORDING_KEYS = {MARK, "clk_tck", "t"}


class _BadFile(ValueError):
    """What is wrong with a file, and in which line."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def read_saved(path: str) -> Look:
    """The last look that a file holds. Raises UsageProblem, with file and line number."""
    name = "standard input" if path == STDIN else path
    try:
        with _opened(path) as file:
            if _is_recording(file):
                return _of_recording(Recording(name, file))
            with unpacked(file) as plain:
                return _of_bytes(name, plain.read(MAX_LINE))
    except _BadFile as error:
        where = name if error.line is None else f"{name}, line {error.line}"
        raise UsageProblem(f"{where}: {error}", READABLE) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UsageProblem(f"{name} is not sound gzip: {error}") from None
    except OSError as error:
        raise UsageProblem(f"cannot read {name}: {error.strerror or error}") from None


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """The file, read into memory where one can't go back in it: a pipe, as of `<(py-spy dump)`."""
    if path == STDIN:
        yield io.BytesIO(sys.stdin.buffer.read())
        return
    with Path(path).open("rb") as file:
        yield cast(BinaryIO, file) if file.seekable() else io.BytesIO(file.read())


def _is_recording(file: BinaryIO) -> bool:
    try:
        with unpacked(file) as plain:
            first = plain.readline(MAX_LINE).strip()
    finally:
        file.seek(0)
    if MARK.encode() in first[:100]:
        return True
    try:
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


def _of_bytes(name: str, data: bytes) -> Look:
    if len(data) >= MAX_LINE:
        raise _BadFile("too big to be a dump")
    text = data.decode("utf-8-sig", "surrogateescape")
    if looks_like_text(text):
        return _of_text(name, text)
    first = text.lstrip()[:1]
    if first and first in "{[":
        return _of_documents(name, text)
    if text.startswith("thread profile: "):
        raise _BadFile("leakscope's text is for reading; save the JSON (dump --json -o FILE)", 1)
    raise _BadFile("neither JSON nor the text of py-spy" if first else "empty", 1)


def _of_text(name: str, text: str) -> Look:
    try:
        stacks = parse_text(text)
    except BadText as error:
        raise _BadFile(str(error), error.line) from None
    # With --full-filenames all are absolute. Without, some still are: of files that are not there.
    is_whole = all(_is_absolute(frame.filename) for frames in stacks for frame in frames)
    return Look(name, _stacks(Counter(stacks)), is_whole=is_whole)


def _is_absolute(filename: str) -> bool:
    return filename.startswith(("/", "\\", "<")) or filename[1:2] == ":"


# --- JSON -----------------------------------------------------------------------------------------


def _of_documents(name: str, text: str) -> Look:
    """The last dump, summary or list of py-spy's threads; the other lines of a watch say less."""
    last: Look | None = None
    for line, document in _documents(text):
        try:
            if isinstance(document, list):
                counts = Counter(thread.frames for thread in threads_of(document))
                last = Look(name, _stacks(counts))
            elif isinstance(document, dict) and document.get("type") in ("dump", "summary"):
                last = _of_report(name, document)
            elif not isinstance(document, dict) or "type" not in document:
                raise _BadFile("neither a report of leakscope's nor a dump of py-spy's", line)
        except (BadDump, KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            if isinstance(error, _BadFile):
                raise
            what = str(error) if isinstance(error, BadDump) else f"not a report: {error!r}"
            raise _BadFile(what, line) from None
    if last is None:
        raise _BadFile("no dump and no summary in it; a watch writes its summary as it ends")
    return last


def _documents(text: str) -> Iterator[tuple[int, Any]]:
    """JSON values and the lines that they begin in: one, one a line, or as jq prints them."""
    decoder = json.JSONDecoder()
    at, line = 0, 1
    while rest := text[at : at + 1]:
        if rest.isspace():
            line += rest == "\n"
            at += 1
            continue
        try:
            value, end = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise _BadFile(f"not JSON: {error.msg}", error.lineno) from None
        except (ValueError, RecursionError) as error:
            raise _BadFile(f"not JSON: {error}", line) from None
        yield line, value
        line += text.count("\n", at, end)
        at = end


def _of_report(name: str, report: dict[str, Any]) -> Look:
    version = str(report["schema_version"])
    if version.partition(".")[0] != "1":
        raise ValueError(f"its version is {version}; this leakscope reads 1.x")
    level = Level(report["level"])
    # The groups of a leak are there at the function level too, whatever is shown.
    groups = [group for group in report["groups"] if group["level"] == level.value]
    stacks = [Stack(_frames(group["frames"]), int(group["count"])) for group in groups]
    if any(stack.size < 0 for stack in stacks):
        raise ValueError("a count below zero")
    return Look(name, tuple(stack for stack in stacks if stack.size), level)


def _frames(frames: Any) -> Frames:
    return tuple(
        Frame(str(frame["function"]), str(frame["filename"]), int(frame["line"] or 0))
        for frame in frames
    )
