"""py-spy's text as it really is: names with anything in them, processes, locals, colours."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakscope.model import Frame
from leakscope.text_dumps import BadText, looks_like_text, parse_text

HEAD = """\
Process 3664: /usr/bin/python3.11 odd.py
Python v3.11.7 (/usr/bin/python3.11)

"""
SLEEPING = (
    Frame("sleeper", "odd.py", 6),
    Frame("Thread.run", "threading.py", 982),
)
STACK = """\
    sleeper (odd.py:6)
    Thread.run (threading.py:982)
"""


@pytest.mark.parametrize(
    "header",
    [
        'Thread 3666 (idle): "plain"',
        'Thread 3666 (active+gil): "spin"',
        'Thread 0x7FDCC8D77B80 (active): "MainThread"',
        "Thread 3666 (idle)",
        'Thread 3667 (idle): "with "quotes""',
        'Thread 3668 (idle): "new\nline"',
        'Thread 3668 (idle): "\nline\n"',
        'Thread 3668 (idle): "a"\nb"',
        'Thread 3669 (idle): "    get (queue.py:1)"',
        'Thread 3669 (idle): "x\n    get (queue.py:1)"',
        'Thread 3672 (idle): "Thread 5 (idle)"',
        'Thread 3672 (idle): "Thread\nThread 5 (idle): "x""',
        'Thread 3673 (idle): "): "x"',
        'Thread 3670 (idle): "emoji \U0001f600"',
        'Thread 3670 (idle): ""',
    ],
)
def test_headers_of_threads(header):
    text = HEAD + f"{header}\n{STACK}" * 2
    assert parse_text(text) == (SLEEPING, SLEEPING)
    assert parse_text(text.replace("\n", "\r\n")) == (SLEEPING, SLEEPING)
    assert parse_text(text.removeprefix(HEAD)) == (SLEEPING, SLEEPING)


@pytest.mark.parametrize(
    ("line", "frame"),
    [
        ("<module> (odd.py:17)", Frame("<module>", "odd.py", 17)),
        (
            "_worker (concurrent/futures/thread.py:81)",
            Frame("_worker", "concurrent/futures/thread.py", 81),
        ),
        ("f (we ird:1.py:3)", Frame("f", "we ird:1.py", 3)),
        ("f (a (1).py:3)", Frame("f", "a (1).py", 3)),
        (
            "<lambda>.<locals>.<listcomp> (o.py:15)",
            Frame("<lambda>.<locals>.<listcomp>", "o.py", 15),
        ),
        (
            "wait (<frozen importlib._bootstrap>:9)",
            Frame("wait", "<frozen importlib._bootstrap>", 9),
        ),
        ("clock_nanosleep (libc.so.6)", Frame("clock_nanosleep", "libc.so.6", 0)),
        (
            "std::function<void ()>::operator() const (lib.so)",
            Frame("std::function<void ()>::operator() const", "lib.so", 0),
        ),
    ],
)
def test_frames(line, frame):
    assert parse_text(f'Thread 1 (idle): "a"\n    {line}\n') == ((frame,),)


def test_command_with_lines_of_its_own():
    head = "Process 1: python -c \nimport time\n\nThread 5 (idle)\n    get (queue.py:1)\nx = 1\n"
    rest = f'Python v3.8.18 (/usr/bin/python3.8)\n\nThread 1 (idle): "a"\n{STACK}'
    assert parse_text(head + rest) == (SLEEPING,)


def test_locals_are_passed_over():
    text = """\
Thread 3666 (idle): "plain"
    sleeper (odd.py:6)
        Arguments:
            n: "plain"
            text: "multi\\nline "x" (a.py:3)"
        Locals:
            big: {"a": [1, 2, 3], "s": "x (a.py:3)"}
    Thread.run (threading.py:982)
        Arguments:
            self: <Thread at 0x7ff701fd5d50>
"""
    assert parse_text(HEAD + text) == (SLEEPING,)


def test_processes_are_added_up():
    child = f"""
{"-" * 80}
Process 11690: python sub.py child
Python v3.11.7 (/usr/bin/python3.11)
Parent Process 11644: python sub.py

Thread 11690 (idle): "MainThread"
{STACK}"""
    assert len(parse_text(f'{HEAD}Thread 1 (idle): "a"\n{STACK}{child}')) == 2


def test_of_dumps_in_a_row_the_last_counts():
    one = f'{HEAD}Thread 1 (idle): "a"\n{STACK}'
    two = f'{one}Thread 2 (idle): "b"\n{STACK}'
    assert len(parse_text(two + one)) == 1
    assert len(parse_text(one + two)) == 2


def test_colours_are_passed_over():
    text = (
        "Process \x1b[33m\x1b[1m1\x1b[0m: python\r\n"
        "Python v\x1b[1m3.11.7\x1b[0m (\x1b[2m/usr/bin/python3.11\x1b[0m)\r\n\r\n"
        'Thread \x1b[33m\x1b[1m1\x1b[0m (idle): "a"\r\n'
        "    \x1b[32msleeper\x1b[0m (\x1b[36modd.py\x1b[0m:\x1b[2m6\x1b[0m)\r\n"
        "    Thread.run (threading.py:982)\r\n"
    )
    assert looks_like_text(text)
    assert parse_text(text) == (SLEEPING,)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f'Thread 1 (idle): "a"\n{STACK}what is this\n', 4),
        ('Thread 1 (idle): "a\n', 2),
        (HEAD, 4),
        ("", 1),
        ("hello\n", 1),
    ],
)
def test_what_is_wrong_has_a_line(text, line):
    with pytest.raises(BadText) as caught:
        parse_text(text)
    assert caught.value.line == line


@given(st.text(st.sampled_from(list('Thread 1(idle): "ab\n\r.py0x-\x1b[m')), max_size=99))
def test_junk_is_refused_or_read(text):
    for junk in (text, HEAD + text, f'Thread 1 (idle): "a"\n{text}'):
        looks_like_text(junk)
        with contextlib.suppress(BadText):
            parse_text(junk)


@given(st.text(max_size=20))
def test_any_name_of_a_thread(name):
    """Anything but what looks like the end of a name and a stack after it."""
    safe = name.replace('"', "'").replace("\x1b", "")
    text = f'{HEAD}Thread 1 (idle): "{safe}"\n{STACK}Thread 2 (idle): "b"\n{STACK}'
    assert parse_text(text) == (SLEEPING, SLEEPING)
