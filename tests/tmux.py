"""A real terminal to look at, from tmux: its own server, which is all that is ever ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PATIENCE_S = 15.0

needs_tmux = pytest.mark.skipif(
    shutil.which("tmux") is None, reason="no tmux here (Debian: apt-get install tmux)"
)


class Terminal:
    """A terminal in which a shell runs."""

    def __init__(self, socket: str, folder: Path) -> None:
        self._socket = socket
        self.folder = folder

    def tmux(self, *arguments: str) -> str:
        """What a command of tmux says."""
        # Neither of the terminal that the tests run in, nor of another tmux.
        left_out = ("COLUMNS", "LINES", "TMUX", "TMUX_PANE", "NO_COLOR", "FORCE_COLOR")
        environment = {k: v for k, v in os.environ.items() if k not in left_out}
        return subprocess.run(
            ["tmux", "-u", "-L", self._socket, "-f", "/dev/null", *arguments],
            capture_output=True,
            check=True,
            cwd=self.folder,
            env={**environment, "LC_ALL": "C.UTF-8", "PS1": "$ "},
            text=True,
            timeout=PATIENCE_S,
        ).stdout

    def press(self, *keys: str) -> None:
        """Press keys: `j`, `Enter`, `Escape`, `C-c`."""
        self.tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a text as it is."""
        self.tmux("send-keys", "-l", text)

    def run(self, command: str) -> None:
        """Type a command line."""
        self.type(command)
        self.press("Enter")

    def screen(self) -> list[str]:
        """What is seen now, line by line."""
        return self.tmux("capture-pane", "-p").splitlines()

    def text(self) -> str:
        """What is seen now; lines that were too long for the terminal are whole again."""
        return self.tmux("capture-pane", "-p", "-J")

    def history(self) -> str:
        """What has scrolled off the top as well; broken lines are whole again."""
        return self.tmux("capture-pane", "-p", "-J", "-S", "-")

    def until(self, holds: Callable[[str], bool]) -> str:
        """Wait for a screen of which this holds, and return it."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds(screen := self.text()):
            assert time.monotonic() < deadline, f"still on the screen:\n{screen}"
            time.sleep(0.05)
        return screen

    def until_there(self, text: str) -> str:
        """Wait for a text on the screen."""
        return self.until(lambda screen: text in screen)

    def resize(self, width: int, height: int) -> None:
        """Make it this wide and high."""
        self.tmux("resize-window", "-x", str(width), "-y", str(height))


@contextlib.contextmanager
def terminal(folder: Path, width: int = 80, height: int = 24) -> Iterator[Terminal]:
    """A terminal of this size, with a shell that has job control."""
    opened = Terminal(f"leakscope-{uuid.uuid4().hex[:12]}", folder)
    size = ("-x", str(width), "-y", str(height))
    try:
        opened.tmux("new-session", "-d", *size, "bash", "--norc", "--noprofile")
        yield opened
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):  # it has ended already
            opened.tmux("kill-server")
