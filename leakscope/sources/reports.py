"""Reports that were saved, thousands of them: of each no more is read than what stands before its
groups, which are most of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from leakscope.checked import BadValue, decoded, fields, wrong
from leakscope.errors import UsageProblem
from leakscope.ranking import REPORTS, Found, found_in
from leakscope.sources.saved import STDIN, documents, is_recording, saved_lines

# What a document of leakscope's begins with, on one line, with blanks or without.
_KIND = re.compile(rb'\{"type": ?"(\w+)"')
# The groups of a report follow a list; those of a leak, which have the same name, do not.
_GROUPS = re.compile(rb'\], ?"groups": ?\[')
# Each opens as often as it closes, in a document that is whole.
_PAIRS = ((b"{", b"}"), (b"[", b"]"))


class Unreadable(NamedTuple):
    """An input that is no report, and why: in one line, with its name."""

    why: str


def found_reports(path: str) -> Iterator[Found | Unreadable]:
    """What the reports of a file say, in their order, and what of it could not be read.

    A line that is broken spoils no other; within a document of many lines, the rest of the file.
    """
    any_found = False
    try:
        with saved_lines(path) as (name, lines):
            _, first = lines.first()
            if not _KIND.match(first) and is_recording(first):
                why = "a recording: `leakscope replay FILE --json` makes a report of it"
                yield Unreadable(f"{name}: {why}")
                return
            for found in _found(name, lines, is_alone=path != STDIN):
                any_found = True
                yield found
        if not any_found:
            yield Unreadable(f"{name}: no dump and no summary in it; a watch ends with its summary")
    except UsageProblem as error:
        yield Unreadable(str(error))


def _found(
    name: str, lines: Iterable[tuple[int, bytes]], *, is_alone: bool
) -> Iterator[Found | Unreadable]:
    lines = iter(lines)
    for number, raw in lines:
        where = name if is_alone and number == 1 else f"{name}, line {number}"
        kind = _KIND.match(raw)
        if kind:
            if kind[1].decode() in REPORTS:
                yield _of(where, raw)
        elif raw.startswith(b'{"'):
            # By another program's hand: all on one line as well, and in an order of its own.
            yield from _if_report(where, raw)
        elif not raw.isspace():
            yield from _of_many_lines(name, chain([(number, raw)], lines))


def _of(where: str, raw: bytes) -> Found | Unreadable:
    try:
        try:
            return found_in(_head(raw), where)
        except (BadValue, KeyError):
            return found_in(fields(decoded(raw)), where)
    except (BadValue, KeyError) as error:
        return Unreadable(f"{where}: {wrong(error)}")


def _head(raw: bytes) -> Mapping[str, Any]:
    """A report without its groups, if it is one as leakscope writes it, and all of it is there.

    That is so if what stands before the groups is a whole document with a brace behind it, and the
    rest has no bracket too few: what was cut off anywhere has. (A name may hold brackets: then the
    document is read as a whole, by which all is decided.) Raises BadValue.
    """
    groups = _GROUPS.search(raw)
    if groups is None or any(raw.count(opens) != raw.count(closes) for opens, closes in _PAIRS):
        raise BadValue("not as leakscope writes it")
    return fields(decoded(raw[: groups.start() + 1] + b"}"))


def _if_report(where: str, raw: bytes) -> Iterator[Found | Unreadable]:
    try:
        document = fields(decoded(raw))
    except BadValue as error:
        yield Unreadable(f"{where}: {error}")
        return
    yield from _of_document(where, document)


def _of_many_lines(name: str, lines: Iterable[tuple[int, bytes]]) -> Iterator[Found | Unreadable]:
    """Documents that begin and end anywhere, as `jq .` prints them."""
    for number, document in documents(lines):
        yield from _of_document(name if number == 1 else f"{name}, line {number}", document)


def _of_document(where: str, document: Any) -> Iterator[Found | Unreadable]:
    """What a document says if it is a report; one of another type is none of ours."""
    if not isinstance(document, dict) or "type" not in document:
        yield Unreadable(f"{where}: no report of leakscope's")
    elif document["type"] in REPORTS:
        try:
            yield found_in(document, where)
        except (BadValue, KeyError) as error:
            yield Unreadable(f"{where}: {wrong(error)}")
