"""The form of recordings: what is written is read back, and no line does more than be refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leakscope.checked import FARTHEST_S
from leakscope.limits import Limit, Resources, Usage
from leakscope.model import (
    Changes,
    Frame,
    Frames,
    Missed,
    Parking,
    Ran,
    RunState,
    Target,
    ThreadKey,
    ThreadSample,
)
from leakscope.tape import MARK, BadRecording, Decoder, Encoder, End, Head
from tests.samples import MAIN, QUEUE_GET, key, thread

Look = Changes | Missed | Resources

HEAD = Head(Target(4711, 1_700_000_000.25, ("python", "app.py"), "3.11.7", -3600.5), 1.0)


def read_back(*looks: Look, head: Head = HEAD) -> list[Head | Look | End]:
    """What is read of a recording of these looks, without its head."""
    encoder, decoder = Encoder(), Decoder()
    lines = [encoder.head(head), *map(encoder.look, looks)]
    assert all("\n" not in line and line.isascii() for line in lines)
    first, *rest = map(decoder.line, lines)
    assert first == head
    return rest


# --- what is written is read back -----------------------------------------------------------------

TEXT = st.one_of(st.text(max_size=8), st.sampled_from(["", "\ud800", "\x1b[31m", "\u202e", "\x00"]))
SECONDS = st.floats(-FARTHEST_S, FARTHEST_S)
COUNT = st.integers(0, 2**63)
MAYBE_COUNT = st.none() | COUNT
MAYBE_TEXT = st.none() | TEXT
MAYBE = st.none() | st.booleans()
MOMENT = st.floats(0, 4e9)

FRAME = st.builds(Frame, TEXT, TEXT, st.integers(-1, 10**6))
STACKS = st.lists(FRAME, max_size=3).map(tuple)
PARKING = st.builds(
    Parking, MAYBE_COUNT, MAYBE_TEXT, MAYBE, MAYBE_COUNT, MAYBE_COUNT, MAYBE_TEXT, MAYBE
)
STATE = st.sampled_from(RunState)
MISSED = st.builds(Missed, MOMENT, SECONDS, TEXT, st.integers(1, 9))
LIMIT = st.builds(Limit, TEXT, COUNT, COUNT, SECONDS)
RESOURCES = st.builds(
    Resources,
    st.builds(Usage, SECONDS, st.integers(0, 10**6), MAYBE_COUNT, MAYBE_COUNT),
    st.lists(LIMIT, max_size=3).map(tuple),
)


@st.composite
def changes(draw: st.DrawFn, living: dict[ThreadKey, ThreadSample]) -> Changes:
    """A look that can follow those before: only who lives can change, run or end."""
    there = sorted(living, key=str)
    who = st.sampled_from(there) if there else st.nothing()
    some = st.lists(who, unique=True, max_size=4) if there else st.just([])
    ended = draw(some)
    changed = [
        ThreadSample(
            name,
            draw(MAYBE_TEXT),
            draw(STACKS),
            draw(STATE),
            living[name].born_s,
            draw(PARKING),
            living[name].runs,
            living[name].cpu_ticks,
        )
        for name in draw(some)
        if name not in ended
    ]
    ran = [Ran(name, draw(COUNT), draw(COUNT)) for name in draw(some) if name not in ended]
    keys = st.builds(ThreadKey, st.just(4711), MAYBE_COUNT, MAYBE_COUNT, MAYBE_COUNT)
    new = draw(st.lists(keys.filter(lambda k: k not in living), unique=True, max_size=4))
    began = [
        ThreadSample(
            name,
            draw(MAYBE_TEXT),
            draw(STACKS),
            draw(STATE),
            draw(st.none() | SECONDS),
            draw(PARKING),
            draw(MAYBE_COUNT),
            draw(MAYBE_COUNT),
        )
        for name in new
    ]
    living.update({thread.key: thread for thread in (*changed, *began)})
    for name in ended:
        del living[name]
    return Changes(
        draw(MOMENT),
        draw(SECONDS),
        tuple(began),
        tuple(changed),
        tuple(ended),
        tuple(ran),
        draw(MAYBE_COUNT),
        draw(COUNT),
        draw(st.integers(1, 9)),
        is_stopped=draw(st.booleans()),
    )


@st.composite
def watches(draw: st.DrawFn) -> list[Look]:
    """Any watch: looks that follow each other, with gaps and resources between them."""
    living: dict[ThreadKey, ThreadSample] = {}
    kinds = draw(st.lists(st.sampled_from("ccccmr"), max_size=6))
    form: dict[str, Any] = {"c": changes(living), "m": MISSED, "r": RESOURCES}
    looks: list[Look] = [draw(form[kind]) for kind in kinds]
    # Time runs forwards, however it was drawn.
    times = iter(sorted(look.elapsed_s for look in looks))
    return [
        look if isinstance(look, Resources) else replace(look, elapsed_s=next(times))
        for look in looks
    ]


@settings(max_examples=150, deadline=None)
@given(watches())
def test_what_is_written_is_read_back(looks):
    assert read_back(*looks) == looks


@given(
    st.builds(
        Head,
        st.builds(
            Target,
            COUNT,
            st.none() | SECONDS,
            st.lists(TEXT).map(tuple),
            MAYBE_TEXT,
            st.none() | SECONDS,
        ),
        st.none() | SECONDS.map(abs),
    )
)
def test_the_head_is_read_back(head):
    assert read_back(head=head) == []


@given(TEXT)
def test_the_end_is_read_back(ended_by):
    assert Decoder().line(Encoder().end(End(ended_by))) == End(ended_by)


def test_moments_are_kept_as_they_are():
    # Or a moment that is reckoned from them falls into another millisecond in a replay.
    (look,) = read_back(Missed(1_700_000_000.1234567, 1.123456789, "why"))
    assert isinstance(look, Missed)
    assert (look.taken_at, look.elapsed_s) == (1_700_000_000.1234567, 1.123456789)


def test_that_native_threads_are_not_known_is_read_back():
    look = Changes(17.0, 1.0, native=None)
    assert read_back(look) == [look]


# --- it is compact --------------------------------------------------------------------------------


def said_of(*looks: Look) -> list[dict[str, Any]]:
    """The lines of these looks, decoded as plain JSON."""
    encoder = Encoder()
    return [json.loads(encoder.look(look)) for look in looks]


def began(number: int, frames: Frames = QUEUE_GET) -> Changes:
    """A look that finds one more thread."""
    return Changes(17.0 + number, float(number), began=(thread(number, frames),))


def test_a_stack_is_written_once():
    first, second, third = said_of(began(1), began(2), began(3, MAIN))
    assert len(first["S"]) == len(third["S"]) == 1
    assert "S" not in second
    assert first["b"][0][3] == second["b"][0][3] != third["b"][0][3]


def test_a_look_without_news_is_two_numbers():
    assert said_of(Changes(17.0, 1.0)) == [{"t": 17.0, "e": 1.0}]


def test_a_thread_that_ends_and_one_that_comes_have_numbers_of_their_own():
    first, second = said_of(
        began(1), Changes(18.0, 1.0, began=(thread(2),), ended=(thread(1).key,))
    )
    assert second["x"] == [first["b"][0][0]]
    assert second["b"][0][0] != first["b"][0][0]


# --- lines that are none --------------------------------------------------------------------------


def decoder_after(*looks: Look) -> Decoder:
    """A decoder that has read the head and these looks."""
    encoder, decoder = Encoder(), Decoder()
    for line in (encoder.head(HEAD), *map(encoder.look, looks)):
        decoder.line(line)
    return decoder


# Threads 0 and 1, both in stack 0.
TWO = (began(1), began(2))
BEGAN = [2, [4711, 4714, 1003, None], "Thread-3", 0, 0, None, [], None, None]
CHANGED = [0, "Thread-1", 0, 0, []]
HEAD_SAID: dict[str, Any] = json.loads(Encoder().head(HEAD))

BAD_LINES = {
    "empty": "",
    "blank": "  ",
    "cut off": '{"t":1700000000.0,"e":3.0,"b":[[',
    "not JSON": "buy milk",
    "a list": "[]",
    "a number": "17",
    "null": "null",
    "NaN": '{"t":NaN,"e":3.0}',
    "infinity": '{"t":17.0,"e":Infinity}',
    "beyond all floats": '{"t":17.0,"e":1e999}',
    "an integer beyond all floats": '{"t":17.0,"e":1' + "0" * 400 + "}",
    "an integer of 5000 digits": '{"t":17.0,"e":1' + "0" * 5000 + "}",
    "deep": "[" * 100_000,
    "deep and whole": "[" * 100_000 + "]" * 100_000,
    "no time": '{"e":3.0}',
    "nothing in it": "{}",
    "time is a word": '{"t":"noon","e":3.0}',
    "time is a list": '{"t":[],"e":3.0}',
    "time is null": '{"t":null,"e":3.0}',
}
BAD_VALUES: dict[str, dict[str, Any]] = {
    "another version": {**HEAD_SAID, MARK: 2},
    "version is a word": {**HEAD_SAID, MARK: "one"},
    "head without target": {MARK: 1, "interval_s": 1.0},
    "target is a number": {**HEAD_SAID, "target": 4711},
    "target is empty": {**HEAD_SAID, "target": {}},
    "interval is a word": {**HEAD_SAID, "interval_s": "often"},
    "tries is a list": {"t": 17.0, "e": 3.0, "n": []},
    "tries is null": {"t": 17.0, "e": 3.0, "n": None},
    "tries is endless": {"t": 17.0, "e": 3.0, "n": float(10**308)},
    "began is a number": {"t": 17.0, "e": 3.0, "b": 3},
    "began is null": {"t": 17.0, "e": 3.0, "b": None},
    "began row is empty": {"t": 17.0, "e": 3.0, "b": [[]]},
    "began row is too long": {"t": 17.0, "e": 3.0, "b": [[*BEGAN, 0]]},
    "began twice": {"t": 17.0, "e": 3.0, "b": [[0, *BEGAN[1:]]]},
    "began twice in one line": {"t": 17.0, "e": 3.0, "b": [BEGAN, BEGAN]},
    "began in an unknown stack": {"t": 17.0, "e": 3.0, "b": [[*BEGAN[:3], 9, *BEGAN[4:]]]},
    "began in an unknown state": {"t": 17.0, "e": 3.0, "b": [[*BEGAN[:4], 9, *BEGAN[5:]]]},
    "began with a short key": {"t": 17.0, "e": 3.0, "b": [[2, [4711], *BEGAN[2:]]]},
    "began with a number that is a list": {"t": 17.0, "e": 3.0, "b": [[[], *BEGAN[1:]]]},
    "began with too much parking": {
        "t": 17.0,
        "e": 3.0,
        "b": [[*BEGAN[:6], [None] * 8, *BEGAN[7:]]],
    },
    "born at no time": {"t": 17.0, "e": 3.0, "b": [[*BEGAN[:5], "then", *BEGAN[6:]]]},
    "changed is unknown": {"t": 17.0, "e": 3.0, "c": [[7, *CHANGED[1:]]]},
    "changed to an unknown stack": {"t": 17.0, "e": 3.0, "c": [[0, "", 9, 0, []]]},
    "changed to an unknown state": {"t": 17.0, "e": 3.0, "c": [[0, "", 0, 9, []]]},
    "changed to a state that is a word": {"t": 17.0, "e": 3.0, "c": [[0, "", 0, "R", []]]},
    "ended is unknown": {"t": 17.0, "e": 3.0, "x": [7]},
    "ended twice": {"t": 17.0, "e": 3.0, "x": [0, 0]},
    "ended is a word": {"t": 17.0, "e": 3.0, "x": "all"},
    "ended is a list": {"t": 17.0, "e": 3.0, "x": [[0]]},
    "ran is unknown": {"t": 17.0, "e": 3.0, "r": [[7, 1, 1]]},
    "ran in words": {"t": 17.0, "e": 3.0, "r": [[0, "often", 1]]},
    "ran is short": {"t": 17.0, "e": 3.0, "r": [[0, 1]]},
    "stack without number": {"t": 17.0, "e": 3.0, "S": [[[]]]},
    "stack of words": {"t": 17.0, "e": 3.0, "S": [[5, ["main"]]]},
    "frame without line": {"t": 17.0, "e": 3.0, "S": [[5, [["main", "app.py"]]]]},
    "frame at a line that is a word": {"t": 17.0, "e": 3.0, "S": [[5, [["main", "app.py", "x"]]]]},
    "os threads are a word": {"t": 17.0, "e": 3.0, "os": "many"},
    "native threads are a list": {"t": 17.0, "e": 3.0, "nat": []},
    "usage is a number": {"usage": 1},
    "usage is short": {"usage": [1.0, 2], "limits": []},
    "usage without limits": {"usage": [1.0, 2, 3, 4]},
    "limit is short": {"usage": [1.0, 2, 3, 4], "limits": [["pids.max", 1, 2]]},
    "limit is a word": {"usage": [1.0, 2, 3, 4], "limits": [["pids.max", 1, "max", 1.0]]},
}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
def test_bad_lines_are_refused(line):
    with pytest.raises(BadRecording, match=r"."):
        decoder_after(*TWO).line(line)


@pytest.mark.parametrize("said", BAD_VALUES.values(), ids=BAD_VALUES)
def test_lines_with_bad_values_are_refused(said):
    decoder = decoder_after(*TWO)
    line = json.dumps(said)
    if said.get("n") == 1e308:
        line = line.replace("1e+308", "1e999")
    with pytest.raises(BadRecording, match=r"."):
        decoder.line(line)


def test_the_form_of_another_version_is_named():
    line = json.dumps({**HEAD_SAID, MARK: 2})
    with pytest.raises(BadRecording, match="form 2; this leakscope reads form 1"):
        Decoder().line(line)


def test_the_lines_that_the_bad_ones_spoil_are_good():
    decoder = decoder_after(*TWO)
    good = {"t": 17.0, "e": 3.0, "b": [BEGAN], "c": [CHANGED], "x": [1], "r": [[0, 1, 1]]}
    assert isinstance(decoder.line(json.dumps(good)), Changes)


def test_a_negative_number_of_a_state_is_refused():
    with pytest.raises(BadRecording):
        decoder_after(*TWO).line(json.dumps({"t": 17.0, "e": 3.0, "c": [[0, "", 0, -1, []]]}))


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"c": [CHANGED], "x": [0]}, id="changed and ended"),
        pytest.param({"r": [[0, 1, 1]], "x": [0]}, id="ran and ended"),
        pytest.param({"b": [[2, list(key(1)), *BEGAN[2:]]]}, id="the same thread by two numbers"),
    ],
)
def test_a_look_that_contradicts_itself_is_refused(said):
    with pytest.raises(BadRecording):
        decoder_after(*TWO).line(json.dumps({"t": 17.0, "e": 3.0, **said}))


@pytest.mark.parametrize("depth", range(900, 1001, 4))
def test_values_as_deep_as_can_be_read_are_read_or_refused(depth):
    deep = "[" * depth + "]" * depth
    for line in (f'{{"ended_by":{deep}}}', f'{{"t":1,"e":1,"missed":{deep}}}'):
        refused(Decoder(), line)


def refused(decoder: Decoder, line: str) -> bool:
    """Whether a line was refused; no other exception is let through."""
    try:
        decoder.line(line)
    except BadRecording:
        return True
    return False


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["t", "e", "n", "os", "nat", "S", "b", "c", "x", "r", "missed", "usage", "limits", "ended_by"]
)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    refused(decoder_after(*TWO), text)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS | st.just(MARK), JSON))
def test_any_values_are_read_or_refused(said):
    refused(decoder_after(*TWO), json.dumps({"t": 17.0, "e": 3.0} | said))


@settings(max_examples=300, deadline=None)
@given(data=st.data(), said=st.sampled_from([*BAD_VALUES.values()]))
def test_any_value_put_anywhere_is_read_or_refused(data, said):
    spoilt = json.loads(json.dumps(said))
    where: Any = spoilt
    while isinstance(where, (dict, list)) and where:
        places = list(where) if isinstance(where, dict) else list(range(len(where)))
        place = data.draw(st.sampled_from(places))
        if not isinstance(where[place], (dict, list)) or data.draw(st.booleans()):
            where[place] = data.draw(JSON)
            break
        where = where[place]
    refused(decoder_after(*TWO), json.dumps(spoilt))
