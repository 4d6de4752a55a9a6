"""Shows leakscope at work: `python -m tests.demo` watches a leaking service for half a minute.

Ends with status 0 only if the report names the leak, where it blocks, and nothing that is healthy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

from tests.running import running

WATCH_OPTIONS = ("--duration", "34s", "--interval", "500ms")
LEAKS_FOUND = 1  # the exit status
LONGEST_S = 55.0


def main() -> int:
    """Run the service and the watch; return the exit status."""
    with running("leaky_service.py", "--pool", "30", "--requests", "5") as service:
        place = json.loads(service.tell("lines"))
        service.tell("autoleak 2")
        print("A service with 30 idle workers and 5 requests at a time leaks 2 threads per second.")
        print(f"Running: leakscope watch {service.pid} {' '.join(WATCH_OPTIONS)}", flush=True)
        status, lines = _watch(service.pid)
    wanted = f"{os.path.basename(place['file'])}:{place['consume']}"
    complaints = list(_complaints(status, lines, wanted))
    print()
    for complaint in complaints:
        print(f"demo: {complaint}")
    if not complaints:
        print("demo: the leak was found, and the idle workers were left alone.")
    return 1 if complaints else 0


def _watch(pid: int) -> tuple[int, list[str]]:
    """Run leakscope, show its lines as they come, and keep them."""
    command = [sys.executable, "-m", "leakscope", "watch", str(pid), *WATCH_OPTIONS]
    lines = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as watch:
        assert watch.stdout is not None
        # Else a watch that hangs would hang the demo.
        too_long = threading.Timer(LONGEST_S, watch.kill)
        too_long.start()
        for line in watch.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip("\n"))
        too_long.cancel()
        return watch.wait(), lines


def _complaints(status: int, lines: list[str], place: str) -> Iterator[str]:
    leaks = "\n".join(_leak_sections(lines))
    if status != LEAKS_FOUND:
        yield f"the exit status is {status}, not {LEAKS_FOUND}"
    if not leaks:
        yield "the report has no section that begins with LEAK"
        return
    if "consume" not in leaks:
        yield "the leak is not named: consume"
    if place not in leaks:
        yield f"the place is not named: {place}"
    if "pool_worker" in leaks:
        yield "the idle workers are named as a leak: pool_worker"
    if "handle_request" in leaks:
        yield "the requests are named as a leak: handle_request"


def _leak_sections(lines: list[str]) -> Iterator[str]:
    """Yield the lines from each that starts with LEAK to the next blank one."""
    inside = False
    for line in lines:
        inside = bool(line.strip()) and (inside or line.startswith("LEAK"))
        if inside:
            yield line


if __name__ == "__main__":
    sys.exit(main())
