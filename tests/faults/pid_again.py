"""Run in a PID namespace of its own: a target ends in a watch, and another process gets its PID.

Prints the summary of the watch as JSON. Its argument says where a `sitecustomize` for leakscope is.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.running import PROGRAMS, running, watching


def start_as(pid: int) -> subprocess.Popen[bytes]:
    """Start a process that gets this PID: the kernel gives the one after the last that it gave."""
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
    again = subprocess.Popen(
        [sys.executable, PROGRAMS / "leaky_service.py", "--pool", "20"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert again.pid == pid, f"got {again.pid}, not {pid}"
    assert again.stdout is not None
    assert again.stdout.readline() == b"ready\n"
    return again


def main() -> None:
    """Let it happen while leakscope is stopped, so that it sees neither the end nor the start."""
    with (
        running("misfortunes.py") as target,
        watching(target.pid, "-n", "200ms", env={"PYTHONPATH": sys.argv[1]}) as watch,
    ):
        watch.until("sample", 2)
        os.kill(watch.process.pid, signal.SIGSTOP)
        target.end()
        again = start_as(target.pid)
        os.kill(watch.process.pid, signal.SIGCONT)
        status = watch.status()
        assert again.poll() is None
        again.kill()
        again.communicate()
    assert (status, watch.stderr()) == (0, ""), watch.stderr()
    summary = json.loads(watch.lines[-1])
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
