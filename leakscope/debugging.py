"""What is done, step by step, for whoever asks with `-v`.

Not by `logging`: that takes longer to import than to look at a small process, and nobody else
listens here.
"""

from __future__ import annotations

from collections.abc import Callable

_listeners: list[Callable[[str], None]] = []


def listen(listener: Callable[[str], None]) -> None:
    """Have each step told, a line each; text from the target stands in it as it is."""
    _listeners.append(listener)


def debug(message: str, *values: object) -> None:
    """Tell a step, with the values in place of the message's `%`."""
    for listener in _listeners:
        listener(message % values)
