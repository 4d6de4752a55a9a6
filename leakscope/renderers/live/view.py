"""The whole screen, from a report and how it is looked at. Pure."""

from __future__ import annotations

from rich.console import Group as Lines
from rich.text import Text

from leakscope.printable import cell_width
from leakscope.renderers.live.detail import detail
from leakscope.renderers.live.header import header
from leakscope.renderers.live.help import help_page
from leakscope.renderers.live.overview import overview
from leakscope.renderers.live.pen import Part, Pen
from leakscope.renderers.live.state import Order, Page, Setting, ViewState
from leakscope.report import Report

_FOOTER = 1  # line


def view(latest: Report, state: ViewState, setting: Setting) -> Lines:
    """As many lines as the terminal has, each as wide as it at most."""
    pen = Pen(state.width, setting.unicode)
    room = max(state.height - _FOOTER, 0)
    lines = _body(latest, state, setting, pen, room)[:room]
    lines += [Text()] * (room - len(lines))
    return Lines(*lines, _footer(state, setting, pen))


def _body(latest: Report, state: ViewState, setting: Setting, pen: Pen, room: int) -> list[Text]:
    if state.page is not Page.OVERVIEW:
        whole = page_lines(latest, state, setting)
        first = max(min(state.scroll, len(whole) - room), 0)
        return whole[first : first + room]
    report = state.shown(latest)
    top = header(report, state.frozen is not None, latest, pen, setting)
    return [*top, *overview(report, state, pen, room - len(top))]


def page_lines(latest: Report, state: ViewState, setting: Setting) -> list[Text]:
    """All lines of a page that scrolls, seen or not."""
    pen = Pen(state.width, setting.unicode)
    report = state.shown(latest)
    if state.page is Page.HELP:
        return help_page(report, pen)
    return detail(report, state, pen)


def last_scroll(latest: Report, state: ViewState, setting: Setting) -> int:
    """By how many lines a page can be scrolled at most."""
    room = state.height - _FOOTER
    return max(len(page_lines(latest, state, setting)) - room, 0)


def _footer(state: ViewState, setting: Setting, pen: Pen) -> Text:
    if state.is_typing:
        return pen.line(
            ("filter: ", "heading"), (state.filter + "_", "message"),
            ("  Enter keeps it, Esc drops it", "heading"),
        )  # fmt: skip
    if state.message:
        return pen.line((state.message, "message"))
    if not setting.has_keys:
        return pen.line(("Ctrl-C ends the watch and prints its report", "heading"))
    parts: list[Part] = []
    taken, apart = 0, ""
    for key, does in _keys(state, pen):
        taken += cell_width(f"{apart}{key} {does}")
        if taken > pen.width:
            break
        parts += [apart, (key, "message"), (f" {does}", "heading")]
        apart = "  "
    return pen.line(*parts)


def _keys(state: ViewState, pen: Pen) -> list[tuple[str, str]]:
    """Each key and what it does, the most needed first: the last give way on a narrow terminal."""
    always = [("q", "end"), ("?", "back" if state.page is Page.HELP else "help")]
    moving = pen.signs.up_down
    if state.page is not Page.OVERVIEW:
        paused = [("p", "go on")] if state.frozen else []
        return [*always, (moving, "scroll"), ("Esc", "back"), *paused, ("w", "write")]
    order = "order" if state.order is Order.SUSPICION else f"order: {state.order}"
    return [
        *always,
        (moving, "move"),
        ("Enter", "detail"),
        ("s", order),
        ("f", "filter"),
        ("p", "go on" if state.frozen else "pause"),
        ("w", "write"),
    ]
