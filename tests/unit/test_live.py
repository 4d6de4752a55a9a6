"""What takes the terminal and gives it back, tried on one of paper."""

from __future__ import annotations

import threading
from io import StringIO

import pytest
from rich.console import Console

from leakscope.commands import live
from leakscope.commands.live import LiveView
from leakscope.renderers.live.state import Setting
from tests.builders import WATCH, nothing

PATIENCE_S = 10.0
TAKEN, GIVEN_BACK = "\x1b[?1049h", "\x1b[?25h\x1b[?1049l"


class Paper(StringIO):
    """A terminal that tells when something was drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.is_drawn = threading.Event()

    def flush(self) -> None:
        if "end" in self.getvalue():  # the last line of the view
            self.is_drawn.set()


@pytest.fixture
def paper():
    return Paper()


@pytest.fixture
def view(paper):
    console = Console(file=paper, force_terminal=True, color_system=None, legacy_windows=False)
    return LiveView(console, lambda: None, lambda report: "written")


def test_the_screen_is_given_back(view, paper):
    with view:
        view.update(WATCH, Setting())
        assert paper.is_drawn.wait(PATIENCE_S)
        assert "LEAK 1  187 threads" in paper.getvalue()
    assert paper.getvalue().count(TAKEN) == 1
    assert paper.getvalue().endswith(GIVEN_BACK)


def test_no_screen_is_taken_before_there_is_something_to_show(view, paper):
    with view:
        pass
    assert paper.getvalue() == ""


def test_only_lines_that_changed_are_sent(view, paper):
    view._take()
    view._draw(WATCH)
    before = len(paper.getvalue())
    view._draw(WATCH)
    assert len(paper.getvalue()) == before
    view._draw(nothing())
    assert len(paper.getvalue()) > before
    view._give_back()
    assert paper.getvalue().endswith(GIVEN_BACK)


def test_a_failure_ends_the_watch_and_is_told(view, paper, monkeypatch):
    def broken(*_):
        raise RuntimeError("a fault in drawing")

    monkeypatch.setattr(live, "view", broken)
    asked_to_end = threading.Event()
    view._on_quit = asked_to_end.set

    def watched():
        with view:
            view.update(WATCH, Setting())
            assert asked_to_end.wait(PATIENCE_S)

    with pytest.raises(RuntimeError, match="a fault in drawing"):
        watched()
    assert paper.getvalue().endswith(GIVEN_BACK)


def test_an_error_of_the_watch_gives_the_screen_back(view, paper):
    def watched():
        with view:
            view.update(WATCH, Setting())
            assert paper.is_drawn.wait(PATIENCE_S)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        watched()
    assert paper.getvalue().endswith(GIVEN_BACK)
