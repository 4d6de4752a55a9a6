"""Keys out of bytes, however they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakscope.keys import Key, Keys


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"j", ["j"]),
        (b"\r", [Key.ENTER]),
        (b"\x7f\x08", [Key.BACKSPACE, Key.BACKSPACE]),
        (b"\x0c", [Key.REDRAW]),
        (b"\x1b[A\x1bOB", [Key.UP, Key.DOWN]),
        (b"\x1b[5~\x1b[6~", [Key.PAGE_UP, Key.PAGE_DOWN]),
        (b"\x1b[H\x1b[4~", [Key.HOME, Key.END]),
        ("é工".encode(), ["é", "工"]),
        (b"\x01\x02", []),
        (b"\x1b[1;5Cx\x1b[15~", ["x"]),  # Ctrl-Right and F5 mean nothing here
        (b"\x1bx", [Key.ESCAPE, "x"]),
    ],
)
def test_keys(data, keys):
    assert Keys().of(data) == keys


@pytest.mark.parametrize("data", [b"\x1b[A", b"\x1bOA", b"\x1b[5~", "工".encode()])
def test_a_key_that_comes_in_pieces_is_one(data):
    keys = Keys()
    found = [key for byte in data for key in keys.of(bytes([byte]))]
    assert found == Keys().of(data)
    assert len(found) == 1


def test_an_escape_with_nothing_after_it_is_the_key():
    keys = Keys()
    assert keys.of(b"\x1b") == []
    assert keys.are_begun
    assert keys.at_rest() == [Key.ESCAPE]
    assert not keys.are_begun
    assert keys.at_rest() == []


@given(st.lists(st.binary(max_size=9), max_size=9))
def test_no_bytes_break_it_and_the_pieces_do_not_matter(pieces):
    one, other = Keys(), Keys()
    apart = [key for piece in pieces for key in one.of(piece)]
    assert apart == other.of(b"".join(pieces))
    assert all(isinstance(key, Key) or key.isprintable() for key in apart)
