"""Nothing of the target's text may steer the terminal that it is printed on."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakscope.printable import cell_width, clipped, printable, short_path

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates too


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x00\x7f\x85\x9b1m", r"\x00\x7f\x85\x9b1m"),
        ("user\u202egnp.exe", r"user\u202egnp.exe"),
        ("\u202a\u2066\u2069\u200e\u200f\u061c", r"\u202a\u2066\u2069\u200e\u200f\u061c"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\u200b\u200c\u200d\u2060\ufeff\u00ad", r"\u200b\u200c\u200d\u2060\ufeff\xad"),
        ("\u034f\u115f\u3164\uffa0\u2800", r"\u034f\u115f\u3164\uffa0\u2800"),
        ("\ud800\udcff", r"\ud800\udcff"),
        ("\ue000\u0378\U0010ffff", r"\ue000\u0378\U0010ffff"),
        ("\U000e0041\U000e0100", r"\U000e0041\U000e0100"),
    ],
)
def test_what_steers_or_hides_is_escaped(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Thread-1 (consume)",
        "[red]worker[/red]",
        r"C:\new\table.py",
        "naïve café Ünïcode",
        "cafe\u0301",
        "工作线程",
        "रेखा नमस्ते",
        "שלום مرحبا",
        "🔥 ❤\ufe0f 👍🏽",
        "no\u00a0break\u3000wide",
    ],
)
def test_ordinary_text_is_left_alone(text):
    assert printable(text) == text


@given(ANY_TEXT)
def test_no_control_character_is_ever_left(text):
    categories = {unicodedata.category(char) for char in printable(text)}
    assert not categories & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert len(printable(text).splitlines()) <= 1
    printable(text).encode("utf-8")


@given(ANY_TEXT)
def test_doing_it_twice_changes_nothing(text):
    assert printable(printable(text)) == printable(text)


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("工作", 4), ("cafe\u0301", 4), ("é", 1), ("🔥", 2)]
)
def test_width_is_counted_in_columns(text, width):
    assert cell_width(text) == width


def test_clipped_keeps_the_beginning():
    assert clipped("abcdefgh", 8) == "abcdefgh"
    assert clipped("abcdefghi", 8) == "abcde..."


@pytest.mark.parametrize(
    ("filename", "short"),
    [
        ("/srv/app/jobs.py", "app/jobs.py"),
        ("/jobs.py", "jobs.py"),
        ("jobs.py", "jobs.py"),
        ("C:\\srv\\app\\jobs.py", "app/jobs.py"),
        ("<string>", "<string>"),
        ("", ""),
    ],
)
def test_short_path_is_the_last_two_components(filename, short):
    assert short_path(filename) == short
