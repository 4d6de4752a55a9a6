"""Starts the programs that are watched, and the command line that watches them."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

PROGRAMS = Path(__file__).parent / "programs"
ANSWER_TIMEOUT_S = 30.0
END_TIMEOUT_S = 5.0
WATCH_TIMEOUT_S = 90.0


def unmeasured() -> dict[str, str]:
    """The environment without what would have a Python measure its coverage, and run slower."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}


class TargetError(AssertionError):
    """A target did not answer as agreed; the message holds its stderr."""


class Target:
    """A program from tests/programs, to be told what to do line by line."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes], name: str) -> None:
        self._process = process
        self._errors = errors
        self._name = name
        self._unread = b""

    @property
    def pid(self) -> int:
        """The process to attach to."""
        return self._process.pid

    def tell(self, command: str, *, timeout_s: float = ANSWER_TIMEOUT_S) -> str:
        """Send one command line and return the line that answers it."""
        self.send(command)
        answer = self.read_line(timeout_s=timeout_s)
        if answer.startswith("error:"):
            raise self._error(f"answered {command!r} with {answer!r}")
        return answer

    def send(self, command: str) -> None:
        """Send one command line that is not answered, or not at once."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(command.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._error(f"had ended before {command!r}") from None

    def read_line(self, *, timeout_s: float = ANSWER_TIMEOUT_S) -> str:
        """Return the next line of its stdout."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise self._error(f"said nothing for {timeout_s:g} s")
                read = os.read(self._process.stdout.fileno(), 65536)
                if not read:
                    raise self._error("ended without an answer")
                self._unread += read
        line, _, self._unread = self._unread.partition(b"\n")
        return line.decode()

    def end(self) -> int:
        """Close its stdin, wait for it to end (kill it if it doesn't) and return its status."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            return self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def errors(self) -> str:
        """Return what it has written to stderr so far."""
        # Read at an offset of our own: the target goes on writing through the same open file.
        size = os.fstat(self._errors.fileno()).st_size
        return os.pread(self._errors.fileno(), size, 0).decode(errors="replace")

    def _error(self, what: str) -> TargetError:
        message = f"{self._name} (pid {self.pid}, status {self._process.poll()}) {what}"
        return TargetError("\n".join([message, *self.errors().splitlines()]))


@contextlib.contextmanager
def running(
    program: str,
    *args: str,
    python: str | Path = sys.executable,
    launcher: Sequence[str | Path] = (),
) -> Iterator[Target]:
    """Run a program of tests/programs from when it is ready to the end of the block.

    A launcher stands before it on the command line, and executes it: unshare, say.
    """
    environment = {**unmeasured(), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [*launcher, str(python), str(PROGRAMS / program), *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
        )
        target = Target(process, errors, f"{program} under {python}")
        try:
            first = target.read_line()
            if first != "ready":
                raise TargetError(f"{program} began with {first!r}, not 'ready'")
            yield target
        finally:
            target.end()
            assert process.stdout is not None
            process.stdout.close()


def leakscope_cli(
    *args: str | int | Path,
    timeout: float = 60.0,
    env: Mapping[str, str] | None = None,
    input: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person would; `env` is added to the environment."""
    return subprocess.run(
        [sys.executable, "-m", "leakscope", *map(str, args)],
        capture_output=True,
        check=False,
        env={**os.environ, **(env or {})},
        input=input,
        # No input is no input: never the terminal the tests run in.
        stdin=subprocess.DEVNULL if input is None else None,
        text=True,
        timeout=timeout,
    )


class Watching:
    """A `leakscope watch --json` that goes on, read line by line."""

    def __init__(self, process: subprocess.Popen[str], errors: IO[bytes]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._errors = errors
        self._said = ""

    def until(self, type_: str, number: int = 1) -> dict[str, Any]:
        """Read on until that many documents of a type have come; return the last of them."""
        for line in self._rest():
            document: dict[str, Any] = json.loads(line)
            number -= document["type"] == type_
            if not number:
                return document
        end = "".join(line[:300] + "\n" for line in self.lines[-5:]) + self.stderr()
        raise AssertionError(f"it ended without {number} more of {type_!r}:\n{end}")

    def until_end(self) -> list[str]:
        """Read to the end; all lines that there were."""
        self.status()
        return self.lines

    def status(self) -> int:
        """Read to the end, and return the exit status."""
        for _ in self._rest():
            pass
        return self.process.wait()

    def stderr(self) -> str:
        """What it has written to stderr so far, or had when it ended."""
        if not self._errors.closed:
            size = os.fstat(self._errors.fileno()).st_size
            self._said = os.pread(self._errors.fileno(), size, 0).decode(errors="replace")
        return self._said

    def _rest(self) -> Iterator[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            yield line


@contextlib.contextmanager
def watching(
    pid: int,
    *args: str,
    env: Mapping[str, str] | None = None,
    timeout_s: float = WATCH_TIMEOUT_S,
) -> Iterator[Watching]:
    """Run `leakscope watch PID --json`; it is killed if it has not ended by itself in good time."""
    command = [sys.executable, "-m", "leakscope", "watch", str(pid), "--json", *args]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        too_long = threading.Timer(timeout_s, process.kill)
        too_long.start()
        watch = Watching(process, errors)
        try:
            yield watch
        finally:
            too_long.cancel()
            process.kill()
            process.wait()
            watch.stderr()  # kept for after the end
