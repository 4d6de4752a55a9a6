"""Recordings on disk: both forms are read, and of a spoilt file what is sound, or none at all."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leakscope.changes import Differ
from leakscope.commands.replay import replay
from leakscope.engine import View
from leakscope.errors import LeakscopeError, UsageProblem
from leakscope.model import Changes, Missed, Parking, RunState, Snapshot, Target, ThreadKey
from leakscope.report import EndedBy, Overall
from leakscope.sources.lines import Lines
from leakscope.sources.recording import Look, Recorder, Recording
from leakscope.tape import Encoder, End, Head
from tests.samples import (
    MAIN,
    QUEUE_GET,
    Life,
    every,
    lives,
    missed,
    report_on,
    series,
)

HEAD = Head(Target(4711, 1_700_000_000.0, ("python", "app.py"), "3.11.7", -3600.0), 1.0)
LEAK = [
    Life(0, frames=MAIN, name="MainThread"),
    *lives(every(0.5, begin_s=0.25, end_s=41), QUEUE_GET, first=100),
]
LOOKS = 41


def changes_of(samples: Iterable[Any]) -> list[Changes | Missed]:
    differ = Differ()
    return [
        differ.changes(sample) if isinstance(sample, Snapshot) else sample for sample in samples
    ]


WATCH = changes_of(series(LEAK, until_s=40, without=[7]))


def own_lines(looks: Iterable[Changes | Missed] = WATCH, *, ended_by: str = "duration") -> bytes:
    """A recording of leakscope's own, as bytes."""
    encoder = Encoder()
    lines = [encoder.head(HEAD), *map(encoder.look, looks), encoder.end(End(ended_by))]
    return "".join(f"{line}\n" for line in lines).encode()


OWN = own_lines()


def py_spy_thread(number: int, **fields: Any) -> dict[str, Any]:
    """A thread as py-spy prints it."""
    frame = {"name": "consume", "filename": "/srv/app/jobs.py", "line": 41}
    more = {"module": None, "short_filename": "jobs.py", "locals": None, "is_entry": False}
    given: dict[str, Any] = {
        "pid": 4711,
        "thread_id": 140_000 + number,
        "thread_name": f"Thread-{number}",
        "os_thread_id": 4711 + number,
        "active": False,
        "owns_gil": False,
        "frames": [frame | more],
    }
    return given | fields


def bare_sample(at: float, size: int = 2, **fields: Any) -> dict[str, Any]:
    """A sample of ../shared/corpus: py-spy's JSON and when it was."""
    threads = [py_spy_thread(number) for number in range(size)]
    return {"t": 1_700_000_000 + at, "dur": 0.07, "threads": threads} | fields


BUSY_HEAD = {"clk_tck": 100, "boot_time": 1_699_999_000.0, "pid": 4711, "python": "3.13.0"}
# Start time, state, CPU ticks, voluntary and other context switches, system call, where it sleeps.
TASK = [100_500, "S", 3, 10, 2, 202, "futex_do_wait"]


def busy_sample(at: float, size: int = 2, **fields: Any) -> dict[str, Any]:
    """A sample of ../shared/corpus/busy: what the kernel says of each OS thread too."""
    tasks = {str(4711 + number): TASK for number in range(size + 1)}
    return bare_sample(at, size) | {"tasks": tasks} | fields


def raw_lines(*said: dict[str, Any]) -> bytes:
    """Samples as a file holds them."""
    return "".join(json.dumps(each) + "\n" for each in said).encode()


BARE = raw_lines(*(bare_sample(at) for at in range(5)))
BUSY = raw_lines(BUSY_HEAD, *(busy_sample(at) for at in range(5)))


def recording_of(content: bytes) -> Recording:
    """A recording of these bytes, which need no file."""
    return Recording("some.jsonl", Lines(io.BytesIO(content)))


def looks_of(content: bytes, until_s: float | None = None) -> list[Look]:
    return list(recording_of(content).looks(until_s))


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], str]:
    """Writes bytes to a file and gives its path."""

    def written(content: bytes) -> str:
        path = tmp_path / "recording.jsonl"
        path.write_bytes(content)
        return str(path)

    return written


# --- leakscope's own form -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["watch.jsonl", "watch.jsonl.gz"])
def test_what_was_recorded_is_read(tmp_path, name):
    path = str(tmp_path / name)
    recorder = Recorder(path)
    recorder.begin(HEAD)
    for look in WATCH:
        recorder.record(look)
    recorder.close("count")
    recording = Recording(path)
    read = list(recording.looks())
    assert [look.elapsed_s for look in read] == [look.elapsed_s for look in WATCH]
    assert (recording.head, recording.ended_by, recording.cut_off) == (HEAD, "count", None)


@pytest.mark.parametrize("name", ["watch.jsonl", "watch.jsonl.gz"])
def test_each_look_is_in_the_file_at_once(tmp_path, name):
    path = str(tmp_path / name)
    recorder = Recorder(path)
    recorder.begin(HEAD)
    for number, look in enumerate(WATCH[:5], 1):
        recorder.record(look)
        assert len(looks_of(Path(path).read_bytes())) == number
    recorder.close("signal")


def test_the_report_of_a_recording_is_that_of_its_samples(file):
    report, lost = replay(file(OWN), View())
    alive = report_on(series(LEAK, until_s=40, without=[7]))
    assert lost is None
    assert report.verdict is Overall.LEAKING
    assert (report.leaks, report.groups) == (alive.leaks, alive.groups)
    assert (report.samples, report.missed) == (LOOKS - 1, 1)
    assert report.targets == (HEAD.target,)
    assert report.ended_by is EndedBy.DURATION


def test_an_end_that_this_version_does_not_know_is_taken_as_the_recordings(file):
    report, _ = replay(file(own_lines(WATCH[:3], ended_by="boredom")), View())
    assert report.ended_by is EndedBy.RECORDING


@pytest.mark.parametrize(("until_s", "looks"), [(0, 1), (5, 6), (5.5, 6), (39.9, 40), (40, 41)])
def test_until_counts_from_the_first_sample(until_s, looks):
    assert len(looks_of(OWN, until_s)) == looks


@pytest.mark.parametrize("until_s", [0, 1.5, 4])
def test_until_counts_from_the_first_sample_wherever_that_is(until_s):
    from_ten = own_lines(missed(10.0 + n) for n in range(10))
    assert len(looks_of(from_ten, until_s)) == int(until_s) + 1


def test_a_recording_that_cannot_be_written_is_a_usage_problem(tmp_path):
    with pytest.raises(UsageProblem, match="No such file"):
        Recorder(str(tmp_path / "none" / "watch.jsonl"))


@pytest.mark.parametrize("name", ["/dev/full", "full.gz"])
def test_a_disk_that_is_full_from_the_start_is_a_usage_problem(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("full.gz").symlink_to("/dev/full")
    with pytest.raises(UsageProblem, match=f"{name}: No space left"):
        Recorder(name).begin(HEAD)


@pytest.mark.parametrize("path", ["/", "/nowhere/at/all"])
def test_a_file_that_cannot_be_read_is_a_usage_problem(path):
    with pytest.raises(UsageProblem, match=f"cannot read {path}: "):
        list(Recording(path).looks())


# --- samples of py-spy ----------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
def test_bare_samples_are_read_without_the_kernels_facts(packed):
    content = gzip.compress(BARE) if packed else BARE
    recording = recording_of(content)
    snapshots = list(recording.looks())
    assert [look.elapsed_s for look in snapshots] == [0, 1, 2, 3, 4]
    assert recording.head == Head(Target(4711), None)
    first = snapshots[0]
    assert isinstance(first, Snapshot)
    assert first.os_threads is None
    seen = first.threads[1]
    assert (seen.key, seen.name) == (ThreadKey(4711, 4712, None), "Thread-1")
    assert (seen.born_s, seen.runs, seen.cpu_ticks) == (None, None, None)
    assert seen.parking == Parking()
    assert [frame.function for frame in seen.frames] == ["consume"]


@pytest.mark.parametrize("packed", [False, True])
def test_samples_with_the_kernels_facts(packed):
    recording = recording_of(gzip.compress(BUSY) if packed else BUSY)
    first, *_ = recording.looks()
    assert recording.head == Head(Target(4711, python="3.13.0"), None)
    assert isinstance(first, Snapshot)
    assert first.os_threads == 3
    seen = first.threads[0]
    assert seen.key == ThreadKey(4711, 4711, 100_500)
    # Booted 1000 s before the first sample, begun 1005 s after that.
    assert seen.born_s == pytest.approx(5.0)
    assert (seen.runs, seen.cpu_ticks) == (12, 3)
    assert seen.parking == Parking(202, "futex_do_wait")
    assert seen.state is RunState.BLOCKED


@pytest.mark.parametrize(
    ("task", "parking", "state"),
    [
        ([1, "S", 0, 0, 0, -1, "0"], Parking(), RunState.BLOCKED),
        ([1, "R", 0, 0, 0, "running", "0"], Parking(), RunState.RUNNING),
        ([1, "S", 0, 0, 0, 7, ""], Parking(7), RunState.BLOCKED),
        ([1, "S", 0, 0, 0, 0, "pipe_read"], Parking(0, "pipe_read"), RunState.BLOCKED),
    ],
)
def test_what_the_kernel_says_of_a_thread(task, parking, state):
    (look,) = looks_of(raw_lines(BUSY_HEAD, busy_sample(0, 1, tasks={"4711": task})))
    assert isinstance(look, Snapshot)
    assert (look.threads[0].parking, look.threads[0].state) == (parking, state)


def test_a_thread_that_the_kernel_does_not_list_is_told_by_pyspy():
    (look,) = looks_of(raw_lines(BUSY_HEAD, busy_sample(0, 1, tasks={"9": TASK})))
    assert isinstance(look, Snapshot)
    assert (look.threads[0].key, look.threads[0].born_s) == (ThreadKey(4711, 4711, None), None)


def test_a_thread_without_id_of_the_kernel_has_its_handle():
    thread = py_spy_thread(1, os_thread_id=None, owns_gil=True)
    (look,) = looks_of(raw_lines({"t": 1.0, "threads": [thread]}))
    assert isinstance(look, Snapshot)
    assert look.threads[0].key == ThreadKey(4711, None, None, 140_001)
    assert look.threads[0].state is RunState.RUNNING


def test_a_failed_sample_is_missed():
    failed = {"t": 1_700_000_001.0, "error": "Bad address", "tasks": {}}
    _, look, _ = looks_of(raw_lines(BUSY_HEAD, busy_sample(0), failed, busy_sample(2)))
    assert look == Missed(1_700_000_001.0, 1.0, "Bad address")


def test_a_sample_without_threads_is_a_sample():
    (look,) = looks_of(raw_lines({"t": 1.0, "threads": []}))
    assert look == Snapshot(1.0, 0.0, ())


def test_bare_samples_can_be_judged(file):
    samples = (bare_sample(at, 2 + 2 * at) for at in range(41))
    report, lost = replay(file(raw_lines(*samples)), View())
    assert (lost, report.verdict, len(report.leaks)) == (None, Overall.LEAKING, 1)
    assert report.interval_s is None


# --- what is spoilt -------------------------------------------------------------------------------


def read_or_refused(content: bytes) -> tuple[int, str | None]:
    """How many looks were read and what was lost; no exception but UsageProblem is let through."""
    recording = recording_of(content)
    looks = 0
    with contextlib.suppress(UsageProblem):
        for _ in recording.looks():
            looks += 1
    return looks, recording.cut_off


NO_SAMPLES = {
    "empty": b"",
    "blank lines": b"\n\n \n",
    "head only": own_lines([]).splitlines(keepends=True)[0],
    "head and end": own_lines([]),
    "head of busy only": raw_lines(BUSY_HEAD),
    "empty gzip": gzip.compress(b""),
}


@pytest.mark.parametrize("content", NO_SAMPLES.values(), ids=NO_SAMPLES)
def test_a_file_without_samples_is_a_usage_problem(content):
    with pytest.raises(UsageProblem, match=r"some\.jsonl holds no samples"):
        looks_of(content)


BAD_FIRST = {
    "prose": b"buy milk\n",
    "binary": bytes(range(256)),
    "NUL": b"\0" * 100,
    "not UTF-8": b"\xff\xfe{}\n",
    "UTF-16": '{"t": 1}\n'.encode("utf-16"),
    "another version": OWN.replace(b'"leakscope_recording":1', b'"leakscope_recording":2'),
    "a list": b"[]\n",
    "a number": b"17\n",
    "a word": b'"clk_tck"\n',
    "one dump of py-spy": raw_lines(py_spy_thread(0)),
    "no threads": b'{"t": 1.0}\n',
    "threads is null": b'{"t": 1.0, "threads": null}\n',
    "a thread of nothing": b'{"t": 1.0, "threads": [{}]}\n',
    "no pid": raw_lines({"t": 1.0, "threads": [{**py_spy_thread(0), "pid": None}]}),
    "no time": b'{"threads": []}\n',
    "time is a word": b'{"t": "noon", "threads": []}\n',
    "tasks are a list": raw_lines(bare_sample(0, tasks=[1])),
    "tasks are short": raw_lines(bare_sample(0, tasks={"4711": [1, "S"]})),
    "a clock without ticks": raw_lines({**BUSY_HEAD, "clk_tck": 0}, busy_sample(0)),
    "ticks are a word": raw_lines({**BUSY_HEAD, "clk_tck": "fast"}),
    "deep": b"[" * 100_000,
    "huge number": b'{"t": 1' + b"0" * 5000 + b', "threads": []}\n',
}


@pytest.mark.parametrize("content", BAD_FIRST.values(), ids=BAD_FIRST)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_a_file_that_is_none_is_a_usage_problem_with_its_line(content, packed):
    with pytest.raises(UsageProblem, match=r"^some\.jsonl, line [12]: .") as caught:
        looks_of(gzip.compress(content) if packed else content)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("time", ["NaN", "Infinity", "1e999"])
def test_a_time_that_is_no_number_is_refused(time):
    line = f'{{"t": {time}, "threads": []}}\n'
    with pytest.raises(UsageProblem):
        looks_of(line.encode())


@pytest.mark.parametrize("whole", [OWN, BARE, BUSY], ids=["own", "bare", "busy"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.77, 0.95])
def test_of_a_file_that_ends_within_a_line_the_lines_before_are_read(whole, share):
    end = int(share * len(whole))
    while whole[end - 1 : end] in (b"\n", b"}"):
        end -= 1
    cut = whole[:end]
    sound = cut[: cut.rindex(b"\n") + 1]
    looks, lost = read_or_refused(cut)
    assert looks == len(looks_of(sound)) > 0
    assert lost is not None
    assert lost.startswith(f"line {sound.count(bytes([10])) + 1}: ")


@pytest.mark.parametrize("whole", [OWN, BARE, BUSY], ids=["own", "bare", "busy"])
def test_a_line_spoilt_in_the_middle_ends_the_sound_part(whole):
    lines = whole.splitlines(keepends=True)
    lines[4] = b"what is this\n"
    looks, lost = read_or_refused(b"".join(lines))
    assert looks == len(looks_of(b"".join(lines[:4])))
    assert lost is not None
    assert lost.startswith("line 5: not JSON")


def test_what_is_lost_is_told_with_the_report(file):
    report, lost = replay(file(OWN[: len(OWN) // 2]), View())
    assert lost is not None
    assert 5 < report.samples < LOOKS - 1
    assert report.ended_by is EndedBy.RECORDING


@pytest.mark.parametrize("whole", [OWN, BARE, BUSY], ids=["own", "bare", "busy"])
@pytest.mark.parametrize("lines", [2, 3, 5])
def test_a_packed_file_that_is_cut_off_is_read_up_to_its_last_whole_line(tmp_path, whole, lines):
    path = tmp_path / "cut.gz"
    ends = []
    with gzip.open(path, "wb") as packed:
        for line in whole.splitlines(keepends=True):
            packed.write(line)
            packed.flush()
            ends.append(path.stat().st_size)
    content = path.read_bytes()
    plain = b"".join(whole.splitlines(keepends=True)[:lines])
    for more in (0, 1, 5):
        looks, lost = read_or_refused(content[: ends[lines - 1] + more])
        assert looks == len(looks_of(plain))
        assert lost is not None
        assert lost.startswith(f"after line {lines}: ")


def test_a_packed_file_of_which_only_the_checksum_is_gone_is_whole_but_says_so():
    looks, lost = read_or_refused(gzip.compress(BARE)[:-4])
    assert looks == 5
    assert lost is not None


def test_a_packed_file_that_is_spoilt_from_the_start_is_a_usage_problem():
    packed = gzip.compress(OWN)
    with pytest.raises(UsageProblem, match=r"some\.jsonl is not sound gzip"):
        looks_of(packed[:10] + b"\xff" * 40)


def test_a_path_with_escapes_is_named_as_it_is(tmp_path):
    path = tmp_path / "\x1b[31mred"
    path.write_bytes(b"no\n")
    with pytest.raises(UsageProblem, match="line 1"):
        list(Recording(str(path)).looks())


SOUND = (OWN, BARE, BUSY, gzip.compress(OWN), gzip.compress(BARE), gzip.compress(BUSY))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content):
    read_or_refused(content)
    read_or_refused(b"\x1f\x8b" + content)
    read_or_refused(gzip.compress(content))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SOUND), st.integers(0, 10**6), st.binary(min_size=1, max_size=6))
def test_any_bytes_spoilt_anywhere_are_read_or_refused(whole, at, junk):
    at %= len(whole)
    read_or_refused(whole[:at] + junk + whole[at + len(junk) :])
    read_or_refused(whole[:at] + junk + whole[at:])


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SOUND), st.integers(0, 10**6))
def test_any_cut_is_read_or_refused_and_what_is_lost_is_said(whole, at):
    at %= len(whole)
    looks, lost = read_or_refused(whole[:at])
    if looks and not whole[:at].endswith((b"\n", b"}")):
        assert lost is not None


# --- what no writer would write -------------------------------------------------------------------


def spoilt(edit: Callable[[list[dict[str, Any]]], None]) -> bytes:
    """A recording of leakscope's own, edited by hand."""
    lines = [json.loads(line) for line in own_lines(WATCH[:6]).splitlines()]
    edit(lines)
    return raw_lines(*lines)


def end_and_change(lines: list[dict[str, Any]]) -> None:
    """A thread that ends and changes in the same look."""
    lines[3] |= {"x": [1], "c": [[1, "late", 0, 0, []]]}


def end_and_run(lines: list[dict[str, Any]]) -> None:
    """A thread that ends and runs in the same look."""
    lines[3] |= {"x": [1], "r": [[1, 1, 0]]}


def two_numbers(lines: list[dict[str, Any]]) -> None:
    """The same thread by two numbers, both of which end."""
    lines[2]["b"] = [[77, *lines[1]["b"][0][1:]]]
    lines[3]["x"] = [77]
    lines[4]["x"] = [lines[1]["b"][0][0]]


@pytest.mark.parametrize("edit", [end_and_change, end_and_run, two_numbers])
def test_a_recording_that_contradicts_itself_is_cut_off_there(file, edit):
    _, lost = replay(file(spoilt(edit)), View())
    assert lost is not None


def huge_times(lines: list[dict[str, Any]]) -> None:
    """Looks at the end of all floats."""
    lines[3] |= {"t": 1e308, "e": 1e308}
    lines[4] |= {"t": -1e308, "e": -1e308}


def backwards(lines: list[dict[str, Any]]) -> None:
    """Time that goes backwards."""
    for number, line in enumerate(lines[1:-1]):
        line["e"] = -float(number)


def same_time(lines: list[dict[str, Any]]) -> None:
    """Looks all at once."""
    for line in lines[1:-1]:
        line["e"] = 5.0


@pytest.mark.parametrize("edit", [huge_times, backwards, same_time])
def test_strange_times_are_judged_without_a_crash(file, edit):
    with contextlib.suppress(LeakscopeError):
        replay(file(spoilt(edit)), View())


def test_a_gap_at_the_start_is_a_look():
    assert looks_of(own_lines([missed(0.0)])) == [missed(0.0)]
