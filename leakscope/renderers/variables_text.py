"""Local variables as text: a thread, its frames, below each its variables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from leakscope.printable import printable
from leakscope.redaction import Redaction, redacted_value
from leakscope.variables import ThreadVariables


def variables_lines(
    threads: Iterable[ThreadVariables], redaction: Redaction = Redaction.SECRETS
) -> Iterator[str]:
    """The threads with the variables of each of their frames, innermost first."""
    for thread in threads:
        yield f'thread {thread.tid or "?"} "{printable(thread.name or "")}"'
        for frame, variables in thread.frames:
            where = f"{printable(frame.filename)}:{frame.line}"
            yield f"#   {printable(frame.function)}   {where}"
            for variable in variables:
                kind = "argument" if variable.is_argument else "local"
                value = redacted_value(variable.name, variable.value, redaction)
                yield f"      {kind}  {printable(variable.name)} = {printable(value)}"
        yield ""
