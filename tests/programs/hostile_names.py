"""Threads, functions and files that are called what the first argument says, as a JSON list.

Each text is the name of a thread, of the function that it waits in, and within that of a file.
Commands: rename TEXT_AS_JSON (a thread), file BYTES_AS_HEX (one more thread, in such a file), quit.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any, Callable

from command_loop import serve

NEVER = threading.Event()
STARTED: list[threading.Thread] = []


def waiting_in(function: str, filename: str) -> Callable[[threading.Event], None]:
    """A function of that name and file, which waits for ever; both may hold any character."""
    namespace: dict[str, Callable[[threading.Event], None]] = {}
    exec(compile("def wait(gate):\n    gate.wait()\n", "made.py", "exec"), namespace)
    made = namespace["wait"]
    renamed: dict[str, Any] = {"co_name": function, "co_filename": filename}
    if sys.version_info >= (3, 11):
        renamed["co_qualname"] = function
    made.__code__ = made.__code__.replace(**renamed)
    return made


def start(name: str, function: str, filename: str) -> None:
    thread = threading.Thread(target=waiting_in(function, filename), args=(NEVER,), daemon=True)
    thread.name = name
    thread.start()
    STARTED.append(thread)


def rename(text: str) -> str:
    STARTED[0].name = json.loads(text)
    return "renamed"


def file(name: str) -> str:
    start("of-the-file", "in_the_file", os.fsdecode(bytes.fromhex(name)))
    return "started"


for text in json.loads(sys.argv[1]):
    start(text, text, f"/srv/{text}/app.py")

serve({"rename": rename, "file": file})
