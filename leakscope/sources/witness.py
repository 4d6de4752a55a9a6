"""Tells whether a signal was sent to leakscope alone, or to more than it."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

# Not every image has one.
_WITHOUT_CAT = [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.read()"]


class Witness:
    """A process beside the program, in the same group, which never minds what is sent to it.

    That a signal to leakscope came from a key, from `timeout` or from systemd, and so has reached
    the program as well, is not said with the signal. But then it has come to this process, too:
    signals are held back from it, and the kernel tells which those are (proc(5), ShdPnd).

    It is `cat`, at a pipe that nobody writes to: so it ends with leakscope, however that ends, and
    who looks for processes by the name of leakscope or of the program does not find it.
    """

    def __init__(self) -> None:
        """To be made by a thread from which signals are held back."""
        self._process: subprocess.Popen[bytes] | None = None
        if sys.platform != "linux":
            return
        with contextlib.suppress(OSError):  # a signal too many is better than none
            self._process = subprocess.Popen(
                ["cat"] if shutil.which("cat") else _WITHOUT_CAT,
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def seen(self) -> set[int]:
        """The signals that have come to it since it was made."""
        if self._process is None:
            return set()
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        except OSError:
            return set()
        found = re.search(r"^ShdPnd:\s*([0-9a-f]+)$", status, re.MULTILINE)
        waiting = int(found[1], 16) if found else 0
        return {bit + 1 for bit in range(waiting.bit_length()) if waiting >> bit & 1}

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()  # it may have been stopped
            self._process.communicate()
