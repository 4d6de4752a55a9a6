"""Recordings on disk: written as a watch goes on, read back as a source. Their only door."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from leakscope.checked import BadValue, count, decoded, fields, finite, items, seconds, whole, wrong
from leakscope.checked import text as checked_text
from leakscope.destination import Destination, Growing
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
    Tick,
)
from leakscope.rounds import Ended, Event, Joined, LeftOut, Of
from leakscope.sources.lines import BROKEN_GZIP, Lines, TooLong
from leakscope.tape import MARK, BadRecording, Decoder, Encoder, End, Head
from leakscope.tapes import MARK as MARK_OF_SEVERAL
from leakscope.tapes import DecoderOfSeveral, EncoderOfSeveral, HeadOfSeveral

Look = Changes | Missed | Snapshot | Tick | Resources


# zlib's number for the form of gzip, whose head it then writes too, with the largest window.
_GZIP = 31


class Recorder:
    """Writes a recording, a line a look, each in the file before the next look.

    It is one of several processes if its head says so.
    """

    def __init__(self, path: str) -> None:
        """Raises UsageProblem when nothing can be written there; nothing is until `begin`."""
        self.path = path
        self._destination = Destination(path)
        self._encoder = Encoder()
        self._several: EncoderOfSeveral | None = None
        self._packer = zlib.compressobj(wbits=_GZIP) if path.endswith(".gz") else None
        self._file: Growing | None = None
        self.lost: str | None = None  # where and why it holds no more from some moment on

    def begin(self, head: Head | HeadOfSeveral) -> None:
        """Make the file. Raises UsageProblem when not even its first line can be written."""
        if isinstance(head, HeadOfSeveral):
            self._several = EncoderOfSeveral()
            line = self._several.head(head)
        else:
            line = self._encoder.head(head)
        try:
            self._file = Growing(self._destination, self._packed(line))
        except BrokenPipeError as error:
            raise self._destination.problem(error) from None

    def record(self, look: Changes | Missed | Resources) -> None:
        """Add a look. On a full disk the recording ends with the look before, see `lost`."""
        if self._file is not None:
            self._add(self._packed(self._encoder.look(look)))

    def record_event(self, event: Event) -> None:
        """Add what came in, samples as changes; of one process only its looks. As `record`."""
        if self._several is not None:
            if self._file is not None:
                self._add(self._packed(self._several.event(event)))
        elif isinstance(event, Of) and not isinstance(event.look, Snapshot | Tick):
            self.record(event.look)

    def close(self, ended_by: str) -> None:
        """Write the end, and close."""
        if self._file is not None:
            last = self._packed(self._encoder.end(End(ended_by)))
            self._add(last + (self._packer.flush() if self._packer else b""))
        if self._file is not None:
            self._end()
        self._destination.close()

    def _packed(self, line: str) -> bytes:
        """A line as it stands in the file; in gzip all of it can be unpacked at once."""
        raw = f"{line}\n".encode("ascii")
        if self._packer is None:
            return raw
        return self._packer.compress(raw) + self._packer.flush(zlib.Z_SYNC_FLUSH)

    def _add(self, piece: bytes) -> None:
        assert self._file is not None
        try:
            self._file.add(piece)
        except OSError as error:
            # No line after this one could be read: each tells what changed since the one before.
            self.lost = str(self._destination.problem(error))
            self._end()

    def _end(self) -> None:
        assert self._file is not None
        self._file.close()
        self._file = None


class Recording:
    """A recording as a source of looks: leakscope's own, or py-spy's JSON, a sample a line.

    `lines` are those of a file that is open already, `path` then only its name.
    """

    def __init__(self, path: str, lines: Lines | None = None) -> None:
        self.path = path
        self._given = lines
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
            lost = f", {self.cut_off}" if self.cut_off else ""
            raise UsageProblem(f"{self.path}{lost}" if lost else f"{self.path} holds no samples")
        if decoder.is_own and self.ended_by is None and self.cut_off is None:
            self.cut_off = (
                "it has no last line, so whoever wrote it was killed, or the disk was full"
            )

    def _lines(self) -> Iterator[tuple[int, str]]:
        number = 0
        try:
            with self._opened() as lines:
                for number, raw in lines:
                    if not raw.isspace():
                        yield number, raw.decode("utf-8", "surrogateescape")
        except TooLong as error:
            self.cut_off = f"line {error.line}: {error}"
        except BROKEN_GZIP as error:
            if not number:
                raise UsageProblem(f"{self.path} is not sound gzip: {error}") from None
            self.cut_off = f"after line {number}: {error}"
        except OSError as error:
            raise UsageProblem(f"cannot read {self.path}: {error.strerror or error}") from None

    @contextmanager
    def _opened(self) -> Iterator[Lines]:
        if self._given is not None:
            yield self._given
            return
        with open(self.path, "rb") as file:
            yield Lines(file)


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
        self._latest_s = 0.0
        self._ticks_per_s = 100.0
        self._boot_at: float | None = None

    def look(self, line: str) -> Look | None:
        """The sample of a line; None for the head."""
        try:
            said = decoded(line)
        except BadValue as error:
            raise BadDump(str(error)) from None
        try:
            if "clk_tck" not in fields(said):
                return self._sample(said)
            self._head(said)
            return None
        except BadDump:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise BadDump(f"not a sample: {wrong(error)}") from None

    def _head(self, said: dict[str, Any]) -> None:
        self._ticks_per_s = finite(said["clk_tck"])
        if self._ticks_per_s < 1:  # 100 on all Linux, once up to 1024
            raise BadValue("clk_tck is less than one tick a second")
        self._boot_at = seconds(said["boot_time"])
        target = Target(count(said["pid"]), python=_text(said.get("python")))
        self._recording.head = Head(target, None)

    def _sample(self, said: dict[str, Any]) -> Look:
        taken_at = seconds(said["t"])
        if self._zero_at is None:
            self._zero_at = taken_at
        elapsed_s = taken_at - self._zero_at
        if elapsed_s < self._latest_s:
            raise BadValue("its time runs backwards")
        self._latest_s = elapsed_s
        if "error" in said:
            return Missed(taken_at, elapsed_s, checked_text(said["error"]))
        told = fields(said.get("tasks") or {})
        tasks = {int(tid[:20]): _task(*items(facts)) for tid, facts in told.items()}
        dumped = threads_of(said["threads"])
        pid = count(said["threads"][0]["pid"]) if dumped else 0
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


def _task(
    start_ticks: Any,
    state: Any,
    cpu_ticks: Any,
    voluntary: Any,
    involuntary: Any,
    syscall: Any,
    wchan: Any,
) -> _Task:
    return _Task(
        count(start_ticks),
        checked_text(state),
        count(cpu_ticks),
        count(voluntary),
        count(involuntary),
        # "running" where the kernel gives none
        whole(syscall) if isinstance(syscall, int) else checked_text(syscall),
        checked_text(wchan),
    )


def _text(value: Any) -> str | None:
    return None if value is None else checked_text(value)
