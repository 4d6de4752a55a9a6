"""Recordings on disk: written as a watch goes on, read back as a source. Their only door."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, BinaryIO, NamedTuple, cast

from leakscope.dumps import BadDump, DumpedThread, threads_of
from leakscope.errors import UsageProblem
from leakscope.limits import Resources
from leakscope.model import (
    Changes,
    Missed,
    Parking,
    RunState,
    Snapshot,
    Target,
    ThreadKey,
    ThreadSample,
)
from leakscope.rounds import Ended, Event, Joined, LeftOut, Of
from leakscope.tape import MARK, BadRecording, Decoder, Encoder, End, Head, finite
from leakscope.tapes import MARK as MARK_OF_SEVERAL
from leakscope.tapes import DecoderOfSeveral, EncoderOfSeveral, HeadOfSeveral

# A line longer than this is none that leakscope or py-spy wrote of 4096 threads with 4096 frames
# each in practice; it would only fill the memory.
MAX_LINE = 256 * 1024 * 1024

Look = Changes | Missed | Snapshot | Resources


class Recorder:
    """Writes a recording, a line a look, each flushed; of several processes if its head says so."""

    def __init__(self, path: str, head: Head | HeadOfSeveral) -> None:
        self._path = path
        self._encoder = Encoder()
        self._several = EncoderOfSeveral() if isinstance(head, HeadOfSeveral) else None
        self._file: IO[str] = self._open(path)
        try:
            if isinstance(head, Head):
                self._write(self._encoder.head(head))
            else:
                self._write(EncoderOfSeveral().head(head))
        except UsageProblem:
            with suppress(OSError):
                self._file.close()
            raise

    def record(self, look: Changes | Missed | Resources) -> None:
        """Add a look. Raises UsageProblem when the disk is full; what was written stays good."""
        self._write(self._encoder.look(look))

    def record_event(self, event: Event) -> None:
        """Add what came in; of one process only its looks are written. Raises as `record` does."""
        if self._several:
            self._write(self._several.event(event))
        elif isinstance(event, Of) and not isinstance(event.look, Snapshot):
            self.record(event.look)

    def close(self, ended_by: str) -> None:
        """Write the end, and close."""
        self._write(self._encoder.end(End(ended_by)))
        self._file.close()

    def _open(self, path: str) -> IO[str]:
        try:
            if path.endswith(".gz"):
                return gzip.open(path, "wt", encoding="ascii")
            return open(path, "w", encoding="ascii")
        except OSError as error:
            raise UsageProblem(f"cannot write to {path}: {error.strerror}") from None

    def _write(self, line: str) -> None:
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            raise UsageProblem(f"cannot write to {self._path}: {error.strerror}") from None


class Recording:
    """A recording as a source of looks: leakscope's own, or py-spy's JSON, a sample a line.

    `file` is one that is open already, `path` then only its name.
    """

    def __init__(self, path: str, file: BinaryIO | None = None) -> None:
        self.path = path
        self._file = file
        self.head: Head | None = None
        self.head_of_several: HeadOfSeveral | None = None
        self.ended_by: str | None = None
        self.cut_off: str | None = None  # what was wrong with the rest, where there is a loss

    def looks(self, until_s: float | None = None) -> Iterator[Look]:
        """All looks, or those of the first seconds; those of several processes mixed.

        Raises UsageProblem, with file and line number, when there is nothing sound to read. A file
        that ends in the middle is read up to there, and `cut_off` says so.
        """
        for event in self.events(until_s):
            if isinstance(event, Of):
                yield event.look

    def events(self, until_s: float | None = None) -> Iterator[Event]:
        """What came in, as it came; one process alone joins before its first look. As `looks`."""
        has_joined = False
        for found in self._found(until_s):
            if isinstance(found, Joined | Of | Ended | LeftOut):
                yield found
                continue
            if not has_joined:
                head = self.head
                yield Joined(0, head.target if head else Target(0), from_start=True)
            has_joined = True
            yield Of(0, found)

    def _found(self, until_s: float | None) -> Iterator[Look | Event]:
        decoder = _OfLines(self)
        first_s: float | None = None
        for number, line in self._lines():
            try:
                look = decoder.look(line)
            except (BadRecording, BadDump) as error:
                if first_s is None:
                    raise UsageProblem(
                        f"{self.path}, line {number}: {error}",
                        "A recording is made by `leakscope watch PID --record FILE`.",
                    ) from None
                self.cut_off = f"line {number}: {error}"
                return
            at_s = None if look is None else _elapsed_s(look)
            if at_s is not None:
                first_s = at_s if first_s is None else first_s
                if until_s is not None and at_s - first_s > until_s:
                    return
            if look is not None:
                yield look
        if first_s is None:
            raise UsageProblem(f"{self.path} holds no samples")
        if decoder.is_own and self.ended_by is None and self.cut_off is None:
            self.cut_off = "it has no last line, so whoever wrote it was killed"

    def _lines(self) -> Iterator[tuple[int, str]]:
        number = 0
        try:
            with self._opened() as file:
                while raw := file.readline(MAX_LINE):
                    number += 1
                    if len(raw) >= MAX_LINE:
                        raise UsageProblem(f"{self.path}, line {number}: too long to be a sample")
                    if raw.strip():
                        yield number, raw.decode("utf-8", "surrogateescape")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            if not number:
                raise UsageProblem(f"{self.path} is not sound gzip: {error}") from None
            self.cut_off = f"after line {number}: {error}"
        except OSError as error:
            raise UsageProblem(f"cannot read {self.path}: {error.strerror or error}") from None

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        if self._file is not None:
            with unpacked(self._file) as plain:
                yield plain
            return
        with open(self.path, "rb") as file, unpacked(file) as plain:
            yield plain


@contextmanager
def unpacked(file: BinaryIO) -> Iterator[BinaryIO]:
    """What a file holds, gzipped or not; it must be one that can go back to its beginning."""
    is_gzip = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if is_gzip:
        with gzip.GzipFile(fileobj=file) as plain:
            yield cast(BinaryIO, plain)
    else:
        yield file


def _elapsed_s(found: Look | Event) -> float | None:
    """When a look was; None for what is none."""
    if isinstance(found, Of):
        return found.look.elapsed_s
    return None if isinstance(found, Joined | Ended | LeftOut) else found.elapsed_s


class _OfLines:
    """Reads lines of either form; the first line tells which."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._own = Decoder()
        self._several: DecoderOfSeveral | None = None
        self._raw: _RawSamples | None = None
        self._started = False

    @property
    def is_own(self) -> bool:
        """Whether the lines are of a recording of leakscope's own."""
        return self._started and self._raw is None

    def look(self, line: str) -> Look | Event | None:
        """The look, or the event, that a line holds; None for lines that hold none."""
        if not self._started:
            self._started = True
            if MARK_OF_SEVERAL in line[:100]:
                self._several = DecoderOfSeveral()
            elif MARK not in line[:100]:
                self._raw = _RawSamples(self._recording)
        if self._raw:
            return self._raw.look(line)
        said = self._several.line(line) if self._several else self._own.line(line)
        if isinstance(said, Head):
            self._recording.head = said
            return None
        if isinstance(said, HeadOfSeveral):
            self._recording.head_of_several = said
            return None
        if isinstance(said, End):
            self._recording.ended_by = said.ended_by
            return None
        return said


class _Task(NamedTuple):
    """The kernel's facts of a thread in a raw sample."""

    start_ticks: int
    state: str
    cpu_ticks: int
    voluntary: int
    involuntary: int
    syscall: int | str
    wchan: str


class _RawSamples:
    """Samples of py-spy's own JSON, one a line, with or without the kernel's facts beside them."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._zero_at: float | None = None
        self._ticks_per_s = 100.0
        self._boot_at: float | None = None

    def look(self, line: str) -> Look | None:
        """The sample of a line; None for the head."""
        try:
            said = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadDump(f"not JSON: {error}") from None
        try:
            if "clk_tck" not in said:
                return self._sample(said)
            self._head(said)
            return None
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            if isinstance(error, BadDump | BadRecording):
                raise
            raise BadDump(f"not a sample: {error!r}") from None

    def _head(self, said: dict[str, Any]) -> None:
        self._ticks_per_s = finite(said["clk_tck"])
        self._boot_at = finite(said["boot_time"])
        target = Target(int(said["pid"]), python=said.get("python"))
        self._recording.head = Head(target, None)

    def _sample(self, said: dict[str, Any]) -> Look:
        taken_at = finite(said["t"])
        if self._zero_at is None:
            self._zero_at = taken_at
        elapsed_s = taken_at - self._zero_at
        if "error" in said:
            return Missed(taken_at, elapsed_s, str(said["error"]))
        tasks = {int(tid): _Task(*facts) for tid, facts in (said.get("tasks") or {}).items()}
        dumped = threads_of(said["threads"])
        pid = int(said["threads"][0]["pid"]) if said["threads"] else 0
        if self._recording.head is None:
            self._recording.head = Head(Target(pid), None)
        threads = tuple(self._thread(pid, thread, tasks) for thread in dumped)
        return Snapshot(taken_at, elapsed_s, threads, len(tasks) or None)

    def _thread(self, pid: int, dumped: DumpedThread, tasks: dict[int, _Task]) -> ThreadSample:
        tid = dumped.os_thread_id
        task = tasks.get(tid) if tid is not None else None
        if task is None:
            running = dumped.active or dumped.owns_gil
            handle = dumped.handle if tid is None else None
            key = ThreadKey(pid, tid, None, handle)
            state = RunState.RUNNING if running else RunState.BLOCKED
            return ThreadSample(key, dumped.name, dumped.frames, state)
        running = task.state == "R" or dumped.owns_gil
        syscall = task.syscall if isinstance(task.syscall, int) and task.syscall >= 0 else None
        born_at = (self._boot_at or 0.0) + task.start_ticks / self._ticks_per_s
        return ThreadSample(
            ThreadKey(pid, tid, task.start_ticks),
            dumped.name,
            dumped.frames,
            RunState.RUNNING if running else RunState.BLOCKED,
            None if self._boot_at is None else born_at - (self._zero_at or 0.0),
            Parking(syscall, task.wchan if task.wchan not in ("", "0") else None),
            task.voluntary + task.involuntary,
            task.cpu_ticks,
        )
