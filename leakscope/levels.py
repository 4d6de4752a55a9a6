"""How finely threads are grouped; apart from the grouping, since the options need no more."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """How much of a stack must be the same for two threads to be in one group."""

    LINE = "line"  # functions, files and line numbers
    FUNCTION = "function"  # functions and files
    ENTRY = "entry"  # the function that the thread was started in
