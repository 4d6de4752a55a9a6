"""Which process a command is about, and the words when that can't be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leakscope.errors import UsageProblem

if TYPE_CHECKING:
    from leakscope.processes import ProcessFacts


def _is_leakscope(process: ProcessFacts) -> bool:
    """Whether this is a leakscope: whoever runs two means a third process by the only one."""
    words = process.command[:3]
    return any(word.endswith("/leakscope") for word in words) or words[1:] == ("-m", "leakscope")


def pid_or_only(pid: int | None) -> int:
    """The PID that was given, else that of the only Python process that can be looked at.

    Raises UsageProblem, with the list of them, when there are several.
    """
    if pid is not None:
        return pid
    from leakscope.renderers.text import process_lines
    from leakscope.sources.process_list import python_processes

    found = [process for process in python_processes() if not _is_leakscope(process)]
    if not found:
        raise UsageProblem(
            "no PID was given, and there is no Python process that this user can look at",
            "Name the PID of one; as root, `leakscope ps` lists those of all users.",
        )
    if len(found) > 1:
        listed = "\n".join(process_lines(found))
        raise UsageProblem(
            "no PID was given, and there are several Python processes to look at", listed
        )
    return found[0].pid
