"""What people do without leakscope: look once a second, for ever.

`python -m tests.bench.loops TOOL COMMAND PID`: TOOL is `py-spy`, `pystack` or `austin`, COMMAND its
path.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter

INTERVAL_S = 1.0

ARGUMENTS = {
    "py-spy": ["dump", "--json", "--pid"],
    "pystack": ["remote"],
    "austin": ["--where"],
}


def grouped(dump: bytes) -> Counter[tuple[tuple[str, str], ...]]:
    """How many threads stand in each stack: the least that a dump has to be turned into."""
    return Counter(
        tuple((frame["name"], frame["filename"]) for frame in thread["frames"])
        for thread in json.loads(dump)
    )


def main(tool: str, command: str, pid: str) -> None:
    """Look each second, or as often as it goes where a look takes longer."""
    while True:
        began_s = time.monotonic()
        done = subprocess.run([command, *ARGUMENTS[tool], pid], capture_output=True, check=False)
        if tool == "py-spy" and not done.returncode:
            for stack, count in grouped(done.stdout).most_common(10):
                print(count, stack[:1])
        # A line a look: whoever measures counts them.
        print("look", done.returncode, flush=True)
        time.sleep(max(INTERVAL_S - (time.monotonic() - began_s), 0))


if __name__ == "__main__":
    main(*sys.argv[1:])
