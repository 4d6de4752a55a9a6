"""The debug log on standard error, for `-v`. Imported only for that."""

from __future__ import annotations

import logging
import sys

from leakscope.printable import printable


class _Harmless(logging.Formatter):
    """A message a line: py-spy's words in it may quote what the target is called."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def set_up() -> None:
    """Show all that is logged, with the milliseconds since leakscope began."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Harmless("%(relativeCreated)6.0f ms  %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.DEBUG)
