"""The debug log on standard error, for `-v`. Imported only for that."""

from __future__ import annotations

import time

from leakscope.debugging import listen
from leakscope.output import tell
from leakscope.printable import printable


def set_up() -> None:
    """Show each step, with the milliseconds since this was called."""
    began_s = time.monotonic()

    def show(step: str) -> None:
        tell(step_line(time.monotonic() - began_s, step))

    listen(show)


def step_line(passed_s: float, step: str) -> str:
    """A step and when it was; py-spy's words in it may quote what the target is called."""
    return f"{1000 * passed_s:6.0f} ms  {printable(step)}"
