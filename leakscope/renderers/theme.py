"""All styles that there are, in rich's words."""

from __future__ import annotations

from leakscope.policy import Trend
from leakscope.report import Overall
from leakscope.stacks import is_own_code, is_stdlib

# By a word, or by the value of a Trend or an Overall. Only colours that can be read on a light
# ground and on a dark one, so neither yellow nor white; "dim" and "bold" where no colour is needed.
# Where there is none at all, words say the same.
THEME = {
    Trend.LEAKING: "bold red",
    Trend.RUNAWAY: "bold red",
    Trend.GROWING: "magenta",
    Trend.WARMING: "cyan",
    Trend.CHURNING: "",
    Trend.SHRINKING: "",
    Trend.STEADY: "dim",
    Overall.CLEAN: "green",
    Overall.UNKNOWN: "",
    "leak": "red",
    "cure": "green",
    "own code": "bold",
    "library": "",
    "standard library": "dim",
    "heading": "dim",
    "sparkline": "cyan",
    "missed": "magenta",
    "message": "bold",
    "cursor": "bold not dim",
}


def origin(filename: str) -> str:
    """The style of a frame by whose code it is; of one without a file, that of Python's own."""
    if not filename or is_stdlib(filename):
        return "standard library"
    return "own code" if is_own_code(filename) else "library"
