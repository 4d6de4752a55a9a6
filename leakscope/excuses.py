"""Groups that are left out for a reason: the lines of an --ignore-file. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from leakscope.errors import UsageProblem

_FORM = "Each line is a regular expression, blanks, # and the reason; [#] stands for a # itself."


class Excuse(NamedTuple):
    """What is left out, and why."""

    pattern: re.Pattern[str]  # of functions or files
    reason: str


def excuses(lines: Iterable[str], name: str) -> tuple[Excuse, ...]:
    """The excuses of a file; blank lines and those that begin with # are for people.

    Raises UsageProblem for a line without a reason: a year later nobody would know it.
    """
    found: list[Excuse] = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        expression, reason = (part.strip() for part in _divided(text))
        if not reason:
            raise UsageProblem(f"{name}, line {number}: it gives no reason", _FORM)
        try:
            found.append(Excuse(re.compile(expression), reason))
        except re.error as error:
            why = f"{expression!r} is not a regular expression: {error}"
            raise UsageProblem(f"{name}, line {number}: {why}", _FORM) from None
    return tuple(found)


def _divided(text: str) -> tuple[str, str]:
    mark = re.search(r"\s#", text)
    return (text[: mark.start()], text[mark.end() :]) if mark else (text, "")
