"""JSON of others, each value looked at before it is taken. Pure: text in, values out.

What reads a file or py-spy's answer goes through here, so that whatever comes after may count on
whole numbers that fit the kernel's, times that can be subtracted, and texts that are texts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from leakscope.printable import clipped

# Numbers of the kernel's have 64 bits. Beyond them sums and quotients leave what a float can hold.
_WIDEST = 2**64
# In seconds, as a span or since 1970: 3000 years, which calendars can still tell.
FARTHEST_S = 1e11
# Python takes a hundred bytes for the smallest value, for which `[],` are three: a file that holds
# nothing else would take thirty times its size. 4096 threads with 100 frames each have fewer.
MAX_VALUES = 4_000_000
_LONGEST_SHOWN = 60  # characters of a value that is no good


class BadValue(ValueError):
    """Something that is not what was expected; `str()` says what, in one short line."""


def decoded(text: str | bytes, most: int | None = MAX_VALUES) -> Any:
    """The value that a JSON text holds; `most` is how many values may be in it. Raises BadValue."""
    refuse_many(text, most)
    try:
        return json.loads(text, parse_constant=refuse)
    except BadValue:
        raise
    except (ValueError, RecursionError) as error:
        raise BadValue(f"not JSON: {clipped(str(error), _LONGEST_SHOWN)}") from None


def refuse_many(text: str | bytes, most: int | None = MAX_VALUES) -> None:
    """Raise BadValue where a JSON text holds more values than fit into memory with ease."""
    marks: tuple[Any, ...] = (b",", b"[", b"{") if isinstance(text, bytes) else (",", "[", "{")
    if most is not None and len(text) > most and sum(map(text.count, marks)) > most:
        raise BadValue(f"it holds more than {most} values")


def refuse(constant: str) -> float:
    """For `parse_constant`: Python's JSON knows NaN and Infinity, and no one else's does."""
    raise BadValue(f"{constant} is not a number")


def whole(value: Any) -> int:
    """A whole number of at most 64 bits."""
    if type(value) is not int or not -_WIDEST < value < _WIDEST:
        raise BadValue(f"{shown(value)} is not a whole number of 64 bits")
    return value


def count(value: Any) -> int:
    """A whole number that is not negative."""
    if whole(value) < 0:
        raise BadValue(f"{value} is negative")
    return int(value)


def finite(value: Any) -> float:
    """A number that is neither NaN nor infinite nor too big for a float."""
    try:
        number = float(value) if type(value) in (int, float) else math.nan
    except OverflowError:
        number = math.inf
    if not abs(number) < _WIDEST:  # NaN is not less than anything
        raise BadValue(f"{shown(value)} is not a number")
    return number


def seconds(value: Any) -> float:
    """A time or a span that can be added to others, and told by a calendar."""
    number = finite(value)
    if abs(number) > FARTHEST_S:
        raise BadValue(f"{shown(value)} is no time")
    return number


def span(value: Any) -> float:
    """A number of seconds that is not negative."""
    number = seconds(value)
    if number < 0:
        raise BadValue(f"{shown(value)} is negative")
    return number


def text(value: Any) -> str:
    """A text; it may hold any character."""
    if type(value) is not str:
        raise BadValue(f"{shown(value)} is not a text")
    return value


def flag(value: Any) -> bool:
    """True or false."""
    if type(value) is not bool:
        raise BadValue(f"{shown(value)} is neither true nor false")
    return value


def items(value: Any) -> list[Any]:
    """A list."""
    if type(value) is not list:
        raise BadValue(f"{shown(value)} is not a list")
    return value


def fields(value: Any) -> dict[str, Any]:
    """A JSON object."""
    if type(value) is not dict:
        raise BadValue(f"{shown(value)} is not an object")
    return value


def last_report(documents: Iterable[Any]) -> dict[str, Any]:
    """The last dump or summary among JSON documents. Raises BadValue where there is none."""
    report: dict[str, Any] | None = None
    for document in documents:
        said = fields(document)
        if said.get("type") in ("dump", "summary"):
            report = said
    if report is None:
        raise BadValue("no dump and no summary in it; a watch writes its summary as it ends")
    return report


def refuse_other_version(report: Mapping[str, Any]) -> None:
    """Raise BadValue where a report of leakscope's has not the schema 1.x; KeyError without one.

    A later 1.x only adds fields; in 2.x the same names may mean something else.
    """
    version = text(report["schema_version"])
    if version.partition(".")[0] != "1":
        raise BadValue(f"its version is {clipped(version, 20)}; this leakscope reads 1.x")


def shown(value: Any) -> str:
    """A value for a message: of a list or an object, which may hold anything, only what it is."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if type(value) is int and abs(value) >= _WIDEST:
        return "a huge number"
    return clipped(repr(value), _LONGEST_SHOWN)


def wrong(error: Exception) -> str:
    """What an error says that reading has raised, in one short line."""
    if isinstance(error, KeyError) and error.args:
        return f"it lacks {shown(error.args[0])}"
    return clipped(str(error), 2 * _LONGEST_SHOWN)
