"""Recordings of several processes: what is written is read, and what is no recording is refused."""

from __future__ import annotations

import json

import pytest

from leakscope.changes import Differ
from leakscope.errors import UsageProblem
from leakscope.limits import Limit, Resources, Usage
from leakscope.model import Missed, Snapshot, Target
from leakscope.rounds import Ended, Joined, LeftOut, Of
from leakscope.sources.recording import Recorder, Recording
from leakscope.sources.saved import read_saved
from leakscope.tape import BadRecording, End
from leakscope.tapes import DecoderOfSeveral, EncoderOfSeveral, HeadOfSeveral
from tests.samples import Life, pool, series

TARGETS = [Target(4711 + n, 1.5, ("python", f"{n}.py"), "3.11.7", -3.25) for n in range(2)]
LEFT_OUT = LeftOut(("left out: sleep (4713), not Python",))


def events():
    """Two processes that are looked at in turn; the second ends, and a third gets its PID."""
    differs = [Differ(), Differ()]
    yield Joined(0, TARGETS[0], from_start=True)
    yield Joined(1, TARGETS[1], from_start=True)
    threads = [*pool(3), Life(10, 2.0, 4.0)]
    for sample in series(threads, until_s=6.0, without=(3,)):
        for number in (0, 1):
            if isinstance(sample, Snapshot):
                yield Of(number, differs[number].changes(sample))
            else:
                yield Of(number, sample)
    yield Of(0, Resources(Usage(6.5, 3, 1000, 9), (Limit("pids.max 9", 3, 9, 1.0),)))
    yield Ended(1, 7.0)
    yield Joined(2, TARGETS[1], from_start=False)
    yield Of(2, Missed(9.0, 8.0, "py-spy: it said nothing", 5))
    yield LEFT_OUT


def written():
    encoder = EncoderOfSeveral()
    return [encoder.head(HeadOfSeveral(0.5)), *map(encoder.event, events())]


def test_what_is_written_is_read():
    decoder = DecoderOfSeveral()
    head, *read = map(decoder.line, written())
    assert head == HeadOfSeveral(0.5)
    assert read == list(events())


def test_each_line_is_json():
    assert all(isinstance(json.loads(line), dict) for line in written())


def test_the_end_is_read():
    assert DecoderOfSeveral().line('{"ended_by":"duration"}\n') == End("duration")


HEAD = written()[1]  # of the first process


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (['{"leakscope_recording_of_several":2,"interval_s":1}'], "a recording of form 2"),
        (['{"p":3,"of":{"t":1,"e":1}}'], "process 3 has not joined"),
        ([HEAD, HEAD], "process 0 joins twice"),
        ([HEAD, '{"p":0,"ended_s":1.5}', '{"p":0,"of":{"t":1,"e":1}}'], "has ended"),
        ([HEAD, '{"p":0,"ended_s":"soon"}'], "not a number"),
        ([HEAD, '{"p":0,"ended_s":nan}'], "not JSON"),
        ([HEAD, '{"p":0,"of":{"ended_by":"duration"}}'], "not a look at process 0"),
        ([HEAD, '{"p":0,"of":{"t":1'], "not a line of a recording"),
        (['{"p":0,"first":{"ended_by":"duration"}}'], "not the head of process 0"),
        (["[]"], "not a line of a recording"),
        (["17"], "not a line of a recording"),
        (["{}"], "not a line of a recording"),
        (['{"leakscope_recording_of_several":1}'], "not a line of a recording"),
        (["nonsense"], "not a line of a recording"),
    ],
)
def test_what_is_no_recording_is_refused(lines, why):
    decoder = DecoderOfSeveral()
    *sound, last = lines
    for line in sound:
        decoder.line(line)
    with pytest.raises(BadRecording, match=why):
        decoder.line(last)


def recorded(path):
    recorder = Recorder(str(path))
    recorder.begin(HeadOfSeveral(0.5))
    for event in events():
        recorder.record_event(event)
    recorder.close("duration")
    return str(path)


@pytest.mark.parametrize("name", ["watch.jsonl", "watch.jsonl.gz"])
def test_a_file_of_several_is_read_back(tmp_path, name):
    recording = Recording(recorded(tmp_path / name))
    assert list(recording.events()) == list(events())
    assert (recording.ended_by, recording.cut_off) == ("duration", None)
    assert recording.head_of_several == HeadOfSeveral(0.5)


def test_a_file_of_several_is_read_up_to_a_moment(tmp_path):
    read = list(Recording(recorded(tmp_path / "watch.jsonl")).events(2.0))
    assert [event.look.elapsed_s for event in read if isinstance(event, Of)] == [0, 0, 1, 1, 2, 2]


def test_a_file_of_several_that_is_cut_off_is_good_up_to_there(tmp_path):
    whole = (tmp_path / "watch.jsonl").read_text() if recorded(tmp_path / "watch.jsonl") else ""
    cut = tmp_path / "cut.jsonl"
    cut.write_text(whole[: whole.index("pids.max")])
    recording = Recording(str(cut))
    assert len(list(recording.events())) > 10
    assert recording.cut_off


def test_a_file_of_several_that_begins_badly_is_refused(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text(f'{written()[0]}\n{{"p":3,"of":{{}}}}\n')
    with pytest.raises(UsageProblem, match=r"bad.jsonl, line 2: process 3 has not joined"):
        list(Recording(str(path)).events())


def test_a_comparison_counts_the_threads_of_those_that_live(tmp_path):
    look = read_saved(recorded(tmp_path / "watch.jsonl"))
    assert sum(stack.size for stack in look.stacks) == 3
