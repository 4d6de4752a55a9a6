"""Reports that were saved, thousands of them: of each no more is read than what stands before its
groups, which are most of it.

One rule holds for all. A document, or a list of them, begins where a line does, with a brace; or
behind what a collector of logs puts in front of each line, with the type that leakscope writes
first. It ends where its JSON does, and at the latest before the next line that has such a brace in
its first column, or such a type: what is printed over many lines is indented. So whatever is
broken, cut off or no JSON at all spoils none that begins behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from leakscope.checked import BadValue, decoded, fields, wrong
from leakscope.errors import UsageProblem
from leakscope.ranking import REPORTS, Found, found_in
from leakscope.sources.lines import MAX_LINE
from leakscope.sources.saved import STDIN, is_recording, name_of, saved_lines, values_in

# Documents of leakscope's: what a watch says before its summary, and what else is not ranked.
_OF_A_WATCH = frozenset(("start", "sample", "missed", "change"))
_OTHERS = frozenset(("diff", "doctor", "leak", "processes", "rank"))
_ALL = REPORTS | _OF_A_WATCH | _OTHERS
# Lines of a log begin with a bracket or a brace too: with `[INFO]`, or as Python shows a dict. In
# front may be the end of a document behind which no line ended.
_OPENING = r'[\s}]*(\{\s*(?:"|$)|\[\s*(?:\{|$))'
_OPENS = re.compile(_OPENING.encode())
_REST_OPENS = re.compile(_OPENING)
# The list around reports, of which each has a line.
_AROUND = " \t\r\n,[]"
# What a document of leakscope's begins with, on one line, with blanks or without.
_KIND = re.compile(rb'\{"type": ?"(\w+)"')
# The same behind a prefix, as `kubectl logs --prefix` and `docker compose logs` write it. What has
# a quote or a brace may be JSON itself, and the document a part of that.
_PREFIXED = re.compile(rb'([^{}"]+)' + _KIND.pattern)
# The groups of a report follow a list; those of a leak, which have the same name, do not.
_GROUPS = re.compile(rb'\], ?"groups": ?\[')
_NO_MARKS = bytes(set(range(256)).difference(b'{}[]"'))
_DEEPEST = 10  # brackets in one another, in what leakscope writes


class Unreadable(NamedTuple):
    """An input that is no report, and why: in one line, with its name."""

    why: str


class OtherLines(NamedTuple):
    """Lines of an input that are no part of a report, as those of a log."""

    where: str  # the first of them
    lines: int


def found_reports(path: str) -> Iterator[Found | Unreadable | OtherLines]:
    """What the reports of a file say, in their order, and what of it could not be read.

    What is broken spoils no other that begins on a line of its own.
    """
    reader = _Reader(name_of(path), is_alone=path != STDIN)
    any_said = False
    for said in _read(path, reader):
        any_said = True
        yield said
    if not any_said:
        yield Unreadable(f"{reader.name}: {reader.why_none()}")
    elif reader.others:
        yield OtherLines(f"{reader.name}, line {reader.first_other}", reader.others)


def _read(path: str, reader: _Reader) -> Iterator[Found | Unreadable]:
    try:
        with saved_lines(path) as (name, lines):
            _, first = lines.first()
            if not _KIND.match(first) and is_recording(first):
                why = "a recording: `leakscope replay FILE --json` makes a report of it"
                yield Unreadable(f"{name}: {why}")
                return
            for number, raw in lines:
                yield from reader.feed(number, raw)
    except UsageProblem as error:
        yield Unreadable(str(error))
    yield from reader.end()


class _Reader:
    """Takes the lines of a file one by one. Keeps the document that is being read, and counts."""

    def __init__(self, name: str, *, is_alone: bool) -> None:
        self.name = name
        self.others = self.first_other = 0
        self._is_alone = is_alone
        self._last_other = 0
        self._is_empty = True
        self._is_of_a_watch = False
        self._parts: list[str] = []
        self._began = self._size = self._tried = 0

    def feed(self, number: int, raw: bytes) -> Iterable[Found | Unreadable]:
        """What is known when this line is."""
        self._is_empty = False
        at = self._opening(raw)
        if at is not None:
            return self._begin(number, raw[at:])
        if self._parts:
            return self._go_on(raw)
        if _text(raw).strip(_AROUND):
            self._other(number)
        return ()

    def end(self) -> Iterator[Found | Unreadable]:
        """What is left, if nothing more of it comes."""
        if self._parts:
            yield from self._try(is_over=True)

    def why_none(self) -> str:
        """Why there was nothing to tell of."""
        if self._is_empty:
            return "empty"
        if self._is_of_a_watch:
            return "a watch without the summary that it ends with: it goes on, or was killed"
        return "no report of leakscope's"

    def _opening(self, raw: bytes) -> int | None:
        """Where in a line a document begins, or None."""
        if not self._parts or raw.startswith((b"{", b"[")):
            opens = _OPENS.match(raw)
            if opens:
                return opens.start(1)
        prefixed = _PREFIXED.match(raw)
        if prefixed is None or prefixed[2].decode() not in _ALL:
            return None
        return prefixed.end(1) if _text(prefixed[1]).strip(_AROUND) else None

    def _begin(self, number: int, raw: bytes) -> Iterator[Found | Unreadable]:
        """Of a line with a document or more, or with what one begins with."""
        yield from self.end()
        self._began = number
        kind = _KIND.match(raw)
        name = kind[1].decode() if kind and _is_one(raw) else None
        if name in _OF_A_WATCH:
            self._is_of_a_watch = True
        elif name in REPORTS and (found := self._by_its_head(raw)):
            yield found
        else:
            yield from self._go_on(raw)

    def _go_on(self, raw: bytes) -> Iterable[Found | Unreadable]:
        self._parts.append(_text(raw))
        self._size += len(raw)
        if self._size > MAX_LINE:
            where = self._where(self._began)
            self._keep("", 0)
            return (Unreadable(f"{where}: no end of a JSON value within {MAX_LINE >> 20} MiB"),)
        # What has many lines is tried each time that twice as much is there, not at each line.
        return self._try(is_over=False) if self._size >= 2 * self._tried else ()

    def _try(self, *, is_over: bool) -> Iterator[Found | Unreadable]:
        values, rest, line, error = values_in("".join(self._parts), self._began)
        self._keep("", 0)
        for number, value in values:
            yield from self._of_value(number, value)
        if error is None:
            return
        opens = _REST_OPENS.match(rest)
        if opens and error.may_end and not is_over:
            self._keep(rest, line)
            return
        if opens and rest.strip(_AROUND):
            where = self._where(line if error.may_end else error.line)
            yield Unreadable(f"{where}: {error.why}")
            rest, line = rest[error.next_at :], error.line + 1
        for number, text in enumerate(rest.split("\n"), line):
            if text.strip(_AROUND):
                self._other(number)

    def _keep(self, rest: str, line: int) -> None:
        self._parts = [rest] if rest else []
        self._began, self._size, self._tried = line, len(rest), len(rest)

    def _by_its_head(self, raw: bytes) -> Found | None:
        """A report as leakscope writes it, on one line; None: it takes all of it to say."""
        try:
            return found_in(_head(raw), self._where(self._began))
        except (BadValue, KeyError):
            return None

    def _of_value(self, number: int, value: Any) -> Iterator[Found | Unreadable]:
        for document in value if isinstance(value, list) else [value]:
            kind = document.get("type") if isinstance(document, dict) else None
            where = self._where(number)
            if not isinstance(kind, str) or kind not in _ALL:
                self._other(number)
            elif kind in _OTHERS:
                yield Unreadable(f"{where}: a document of the type {kind}, and no report")
            elif kind in _OF_A_WATCH:
                self._is_of_a_watch = True
            else:
                try:
                    yield found_in(document, where)
                except (BadValue, KeyError) as error:
                    yield Unreadable(f"{where}: {wrong(error)}")

    def _other(self, number: int) -> None:
        """Count a line that is none of leakscope's, once."""
        if number != self._last_other:
            self.others += 1
            self.first_other = self.first_other or number
            self._last_other = number

    def _where(self, number: int) -> str:
        return self.name if self._is_alone and number == 1 else f"{self.name}, line {number}"


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _is_one(raw: bytes) -> bool:
    """Whether a line that begins with a brace is one object, whole, by its brackets.

    Those in strings don't count: where there are any, quotes are left, and the answer is no.
    """
    if not raw.rstrip().endswith(b"}"):
        return False
    marks = raw.replace(rb"\\", b"").replace(rb"\"", b"").translate(None, _NO_MARKS)
    # Without what is first and last, all must still open and close: or there are two objects.
    inner = marks.replace(b'""', b"")[1:-1]
    for _ in range(_DEEPEST):
        if inner:
            inner = inner.replace(b"[]", b"").replace(b"{}", b"")
    return not inner


def _head(raw: bytes) -> Mapping[str, Any]:
    """A whole report without its groups, if it is one as leakscope writes it. Raises BadValue.

    It is if what stands before the groups is a whole document with a brace behind it.
    """
    groups = _GROUPS.search(raw)
    if groups is None:
        raise BadValue("not as leakscope writes it")
    return fields(decoded(raw[: groups.start() + 1] + b"}"))
