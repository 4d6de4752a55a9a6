"""py-spy's JSON, as it is printed, and what to do with what is not."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from leakscope.dumps import BadDump, DumpedThread, parse_dump, threads_of
from leakscope.model import Frame

LIB = "/opt/python/3.11.7/lib/python3.11"

# Printed by py-spy 0.4.3 for a 3.11.7 with one consumer; the bootstrap frames are left out.
DUMP_311 = """[
  {
    "pid": 20383,
    "thread_id": 140577975404224,
    "thread_name": "worker é",
    "os_thread_id": 20425,
    "active": false,
    "owns_gil": false,
    "frames": [
      {
        "name": "Condition.wait",
        "filename": "/opt/python/3.11.7/lib/python3.11/threading.py",
        "module": null,
        "short_filename": "threading.py",
        "line": 327,
        "locals": null,
        "is_entry": false,
        "is_shim_entry": false
      },
      {
        "name": "consume",
        "filename": "/srv/app/jobs.py",
        "module": null,
        "short_filename": "jobs.py",
        "line": 4,
        "locals": null,
        "is_entry": true,
        "is_shim_entry": false
      }
    ],
    "process_info": null
  },
  {
    "pid": 20383,
    "thread_id": 140577989442432,
    "thread_name": "MainThread",
    "os_thread_id": 20383,
    "active": true,
    "owns_gil": true,
    "frames": [],
    "process_info": null
  }
]
"""


def document(**fields: object) -> list[dict[str, object]]:
    """A dump of one thread, decoded, with these fields in place of the usual ones."""
    return [
        {
            "pid": 1,
            "thread_id": 7,
            "thread_name": "t",
            "os_thread_id": 8,
            "active": False,
            "owns_gil": False,
            "frames": [{"name": "f", "filename": "a.py", "line": 1}],
        }
        | fields
    ]


def without(field: str) -> list[dict[str, object]]:
    """A dump of one thread that lacks a field."""
    return [{name: value for name, value in document()[0].items() if name != field}]


def test_a_dump_as_pyspy_prints_it():
    assert parse_dump(DUMP_311) == (
        DumpedThread(
            140577975404224,
            20425,
            "worker é",
            False,
            False,
            (
                Frame("Condition.wait", f"{LIB}/threading.py", 327),
                Frame("consume", "/srv/app/jobs.py", 4),
            ),
        ),
        DumpedThread(140577989442432, 20383, "MainThread", True, True, ()),
    )


def test_bytes_are_read_as_utf8():
    assert parse_dump(DUMP_311.encode()) == parse_dump(DUMP_311)


def test_order_is_pyspys():
    """Newest first: on 3.8 to 3.10 only the order tells which thread is which."""
    dump = [*document(thread_id=3), *document(thread_id=1), *document(thread_id=2)]
    assert [thread.handle for thread in threads_of(dump)] == [3, 1, 2]


def test_what_pyspy_does_not_know_is_none():
    (thread,) = threads_of(document(os_thread_id=None, thread_name=None))
    assert thread.os_thread_id is None
    assert thread.name is None


def test_a_process_without_threads():
    assert parse_dump("[]") == ()


TEXT = st.sampled_from(
    ["f", 'frames": [', "\n    ],\n", "\n  },\n  {\n", '"', "\\", "é"]
) | st.text(max_size=5)
FRAME = st.fixed_dictionaries({"name": TEXT, "filename": TEXT, "line": st.integers(-1, 9)})
THREAD = st.fixed_dictionaries(
    {
        "pid": st.just(1),
        "thread_id": st.integers(0, 2**63 - 1),
        "thread_name": st.none() | TEXT,
        "os_thread_id": st.none() | st.integers(1, 2**22),
        "active": st.booleans(),
        "owns_gil": st.booleans(),
        "frames": st.lists(FRAME, max_size=3),
        "process_info": st.none(),
    }
)


@given(st.lists(THREAD, max_size=4), st.booleans())
def test_as_pyspy_lays_it_out_or_otherwise_it_says_the_same(decoded, escaped):
    laid_out = json.dumps(decoded, indent=2, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    assume(escaped or b"\xed" not in laid_out)
    expected = threads_of(decoded)
    assert parse_dump(laid_out + b"\n") == expected
    assert parse_dump(json.dumps(decoded).encode()) == expected


@pytest.mark.parametrize("spoilt", ['"line": x', '"line": null', '"line": 4, "line"', '"lines": 4'])
def test_what_is_wrong_within_the_usual_layout_is_said(spoilt):
    with pytest.raises(BadDump, match=r"not JSON|not as py-spy gives it"):
        parse_dump(DUMP_311.replace('"line": 4', spoilt).encode())


def test_text_of_the_target_is_kept_as_it_is():
    (thread,) = parse_dump(json.dumps(document(thread_name="\x1b[31m\0\n\ud800")))
    assert thread.name == "\x1b[31m\0\n\ud800"


def test_frames_of_other_versions_are_taken():
    """Fields come and go with versions of py-spy; lines of phantom frames are 0 and below."""
    (thread,) = threads_of(document(frames=[{"name": "f", "filename": "", "line": -1, "new": 1}]))
    assert thread.frames == (Frame("f", "", -1),)


@pytest.mark.parametrize(
    "text",
    ["", "Process 1: python", "[", DUMP_311[:-20], "[" * 100_000, b"\xff\xfe[", b"[\xff]"],
)
def test_text_that_is_not_json(text):
    with pytest.raises(BadDump, match="not JSON"):
        parse_dump(text)


@pytest.mark.parametrize("decoded", [{}, {"threads": []}, "text", None, 7])
def test_json_that_is_not_a_list(decoded):
    with pytest.raises(BadDump, match="not a list of threads"):
        threads_of(decoded)


@pytest.mark.parametrize(
    "decoded",
    [
        [None],
        [7],
        [[]],
        [{}],
        without("frames"),
        without("thread_id"),
        without("os_thread_id"),
        document(thread_id="x"),
        document(thread_id=None),
        document(thread_id=float("inf")),
        document(os_thread_id="x"),
        document(frames=None),
        document(frames=[None]),
        document(frames=[{"name": "f", "filename": "a.py"}]),
        document(frames=[{"name": "f", "filename": "a.py", "line": None}]),
    ],
)
def test_a_thread_that_is_not_one(decoded):
    with pytest.raises(BadDump, match="a thread is not as py-spy gives it"):
        threads_of(decoded)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["thread_id", "os_thread_id", "frames", "name", "line"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(st.lists(JSON, max_size=3) | JSON)
def test_whatever_comes_only_baddump_is_raised(decoded):
    try:
        threads = threads_of(decoded)
    except BadDump:
        return
    assert threads == ()
