"""The form of recordings of several processes: events to lines and back. Pure: strings in and out.

It is the recordings of each process (see `tape`), line by line as they came, each under the number
of its process. A line is one JSON value:

    {"leakscope_recording_of_several": 1, "interval_s": ...}   the head
    {"p": 3, "first": HEAD}, {"p": 3, "later": HEAD}           a process joined, in the first round
                                                               or later
    {"p": 3, "of": LOOK}                                       a look at it
    {"p": 3, "ended_s": ...}                                   it ended
    {"left_out": [...]}                                        what is not looked at, from now on
    {"ended_by": ...}                                          the end of the watch
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from leakscope.checked import BadValue, decoded, fields, items, span, wrong
from leakscope.checked import text as checked_text
from leakscope.model import Snapshot, Tick
from leakscope.rounds import Ended, Event, Joined, LeftOut, Of
from leakscope.tape import BadRecording, Decoder, Encoder, End, Head

VERSION = 1
MARK = "leakscope_recording_of_several"

# Lines are taken apart as they were put together, so that none is parsed twice.
_OF_ONE = re.compile(r'\{"p":(\d{1,9}),"(first|later|of|ended_s)":(.*)\}', re.DOTALL)


class HeadOfSeveral(NamedTuple):
    """What a recording of several processes says of itself."""

    interval_s: float | None


class EncoderOfSeveral:
    """Events to lines."""

    def __init__(self) -> None:
        self._encoders: dict[int, Encoder] = {}

    def head(self, head: HeadOfSeveral) -> str:
        """The first line."""
        return _line({MARK: VERSION, "interval_s": head.interval_s})

    def event(self, event: Event) -> str:
        """What came in; samples as changes."""
        match event:
            case Joined(number, target, from_start):
                encoder = self._encoders[number] = Encoder()
                what, line = "first" if from_start else "later", encoder.head(Head(target, None))
            case Of(number, look):
                if isinstance(look, Snapshot | Tick):
                    raise TypeError("a recording is made of changes")
                what, line = "of", self._encoders[number].look(look)
            case Ended(number, elapsed_s):
                del self._encoders[number]
                what, line = "ended_s", json.dumps(elapsed_s)
            case LeftOut(lines):
                return _line({"left_out": lines})
        return f'{{"p":{number},"{what}":{line}}}'


class DecoderOfSeveral:
    """Lines to events. Raises BadRecording for a line that is none."""

    def __init__(self) -> None:
        self._decoders: dict[int, Decoder] = {}

    def line(self, text: str) -> HeadOfSeveral | Event | End:
        """One line."""
        found = _OF_ONE.fullmatch(text.strip())
        if found:
            return self._of_one(int(found[1]), found[2], found[3])
        try:
            said = fields(decoded(text))
            if MARK in said:
                return _head(said)
            if "left_out" in said:
                return LeftOut(tuple(map(checked_text, items(said["left_out"]))))
            return End(checked_text(said["ended_by"]))
        except (KeyError, BadValue) as error:
            raise BadRecording(f"not a line of a recording: {wrong(error)}") from None

    def _of_one(self, number: int, what: str, line: str) -> Event:
        if what in ("first", "later"):
            return self._joined(number, line, from_start=what == "first")
        decoder = self._decoders.get(number)
        if decoder is None:
            raise BadRecording(f"process {number} has not joined, or has ended")
        if what == "ended_s":
            del self._decoders[number]
            return Ended(number, _number(line))
        look = decoder.line(line)
        if isinstance(look, Head | End):
            raise BadRecording(f"not a look at process {number}")
        return Of(number, look)

    def _joined(self, number: int, line: str, *, from_start: bool) -> Joined:
        if number in self._decoders:
            raise BadRecording(f"process {number} joins twice")
        decoder = Decoder()
        head = decoder.line(line)
        if not isinstance(head, Head):
            raise BadRecording(f"not the head of process {number}")
        self._decoders[number] = decoder
        return Joined(number, head.target, from_start)


def _head(said: dict[str, Any]) -> HeadOfSeveral:
    if said[MARK] != VERSION:
        raise BadRecording(f"a recording of form {said[MARK]}; this leakscope reads form {VERSION}")
    interval_s = said["interval_s"]
    return HeadOfSeveral(None if interval_s is None else span(interval_s))


def _number(text: str) -> float:
    try:
        return span(decoded(text))
    except BadValue as error:
        raise BadRecording(str(error)) from None


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
