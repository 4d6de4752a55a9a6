"""How a target program is driven: a line in on stdin, a line out on stdout."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Callable, Mapping, NoReturn

Command = Callable[..., str]


def serve(commands: Mapping[str, Command]) -> NoReturn:
    """Say "ready", then answer each command line until `quit` or the end of stdin."""
    print("ready", flush=True)
    for line in sys.stdin:
        name, *arguments = line.split() or [""]
        if name == "quit":
            break
        print(_answer(commands, name, arguments), flush=True)
    # Not sys.exit(): that joins threads, and those of a target are blocked for good.
    os._exit(0)


def _answer(commands: Mapping[str, Command], name: str, arguments: list[str]) -> str:
    if name not in commands:
        return f"error: unknown command {name!r}, known: {', '.join(sorted(commands))}, quit"
    try:
        return commands[name](*arguments)
    except Exception as error:
        traceback.print_exc()
        return f"error: {error!r}"
