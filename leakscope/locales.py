"""Whether what is drawn may be more than ASCII: as the user's locale and the terminal have it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_ASCII_ONLY = ("C", "POSIX")
# The first of these that is set decides which characters there are.
_VARIABLES = ("LC_ALL", "LC_CTYPE", "LANG")


def may_draw(encoding: str, environment: Mapping[str, str] | None = None) -> bool:
    """Whether signs beyond ASCII are wanted, and arrive as they are in this encoding.

    In the locale C Python writes UTF-8 all the same, for files; who sets it wants plain text. No
    locale at all asks for nothing. The environment is that which leakscope was started with.
    """
    if not encoding.lower().startswith("utf"):
        return False
    given = _environment_at_start() if environment is None else environment
    locale = next((given[name] for name in _VARIABLES if given.get(name)), "")
    return locale not in _ASCII_ONLY


def _environment_at_start() -> Mapping[str, str]:
    """From the kernel, because Python, in the locale C, sets LC_CTYPE to another one as it starts.

    It is that of Python where the kernel does not tell.
    """
    try:
        content = Path("/proc/self/environ").read_bytes()
    except OSError:
        return os.environ
    entries = (os.fsdecode(entry).partition("=") for entry in content.split(b"\0"))
    return {name: value for name, _, value in entries}
