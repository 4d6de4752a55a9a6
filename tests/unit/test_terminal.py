"""Colour for text."""

from __future__ import annotations

from rich.style import Style

from leakscope.policy import Trend
from leakscope.renderers.terminal import colored, console_for
from leakscope.renderers.text import dump_lines, report_lines
from leakscope.renderers.theme import THEME
from leakscope.report import Overall
from tests.builders import WATCH


def test_every_verdict_has_a_style():
    for word in (*Trend, *Overall):
        Style.parse(THEME[word])


def test_no_colour_is_lost_on_a_light_ground_or_a_dark_one():
    for style in THEME.values():
        assert not {"white", "black", "yellow", "bright_white"} & set(style.split())


def test_without_colour_there_is_none(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert console_for(color=False).no_color
    assert not console_for(color=True).no_color


def test_colour_changes_no_text():
    plain = [*report_lines(WATCH), *dump_lines(WATCH)]
    shown = list(colored(plain))
    assert shown[0] == f"\x1b[1;31m{plain[0]}\x1b[0m"
    assert "\x1b[2m  #   Queue.get                 /usr/lib/python3.11/queue.py:171\x1b[0m" in shown
    assert "\x1b[1m  #   consume                   /srv/app/jobs.py:41\x1b[0m" in shown
    for before, after in zip(plain, shown, strict=True):
        assert before in after
