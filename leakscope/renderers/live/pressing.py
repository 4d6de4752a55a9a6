"""What a key does: the view as it was, and as it is after. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from leakscope.keys import Key
from leakscope.renderers.live.state import Order, Page, Setting, ViewState, Wish, cursor, rows
from leakscope.renderers.live.view import last_scroll
from leakscope.report import Report

_LONGEST_FILTER = 60  # characters: what a line has room for
_MOVES = {
    Key.UP: lambda at, page: at - 1,
    "k": lambda at, page: at - 1,
    Key.DOWN: lambda at, page: at + 1,
    "j": lambda at, page: at + 1,
    Key.PAGE_UP: lambda at, page: at - page,
    Key.PAGE_DOWN: lambda at, page: at + page,
    Key.HOME: lambda at, page: 0,
    Key.END: lambda at, page: None,
}  # type: dict[str, Callable[[int, int], int | None]]


def pressed(state: ViewState, key: str, latest: Report, setting: Setting) -> ViewState:
    """The view after a key; what the program is to do besides is its `wish`."""
    state = replace(state, message="", wish=None)
    if key == Key.REDRAW:
        return replace(state, wish=Wish.REDRAW)
    if state.is_typing:
        return _typed(state, key)
    if key in _EVERYWHERE:
        return _EVERYWHERE[key](state, latest)
    if key in _MOVES:
        return _moved(state, key, latest, setting)
    if state.page is Page.OVERVIEW:
        return _on_overview(state, key, latest)
    if key in (Key.ESCAPE, Key.ENTER, Key.LEFT, Key.BACKSPACE):
        page = state.before_help if state.page is Page.HELP else Page.OVERVIEW
        return replace(state, page=page, scroll=0)
    return state


def _quit(state: ViewState, _latest: Report) -> ViewState:
    return replace(state, wish=Wish.QUIT)


def _write(state: ViewState, _latest: Report) -> ViewState:
    return replace(state, wish=Wish.WRITE)


def _pause(state: ViewState, latest: Report) -> ViewState:
    return replace(state, frozen=None if state.frozen else latest)


def _help(state: ViewState, _latest: Report) -> ViewState:
    if state.page is Page.HELP:
        return replace(state, page=state.before_help, scroll=0)
    return replace(state, page=Page.HELP, before_help=state.page, scroll=0)


_EVERYWHERE: dict[str, Callable[[ViewState, Report], ViewState]] = {
    "q": _quit,
    "w": _write,
    "p": _pause,
    "?": _help,
}


def _on_overview(state: ViewState, key: str, latest: Report) -> ViewState:
    if key in (Key.ENTER, Key.RIGHT):
        groups = rows(state.shown(latest), state)
        if not groups:
            return state
        at = cursor(groups, state)
        return replace(state, page=Page.DETAIL, scroll=0, selected=groups[at].id, row=at)
    if key == "s":
        orders = list(Order)
        following = orders[(orders.index(state.order) + 1) % len(orders)]
        return replace(state, order=following, selected=None, row=0)
    if key in ("f", "/"):
        return replace(state, is_typing=True)
    if key == Key.ESCAPE:
        return replace(state, filter="", selected=None, row=0)
    return state


def _typed(state: ViewState, key: str) -> ViewState:
    """A key of the filter, whose first match is selected."""
    if key == Key.ENTER:
        return replace(state, is_typing=False)
    if key == Key.ESCAPE:
        return replace(state, is_typing=False, filter="")
    if key == Key.BACKSPACE:
        return replace(state, filter=state.filter[:-1], selected=None, row=0)
    if isinstance(key, Key) or len(state.filter) >= _LONGEST_FILTER:
        return state
    return replace(state, filter=state.filter + key, selected=None, row=0)


def _moved(state: ViewState, key: str, latest: Report, setting: Setting) -> ViewState:
    half = max(state.height // 2, 1)
    move = _MOVES[key]
    if state.page is not Page.OVERVIEW:
        last = last_scroll(latest, state, setting)
        to = move(min(state.scroll, last), half)
        return replace(state, scroll=last if to is None else max(min(to, last), 0))
    groups = rows(state.shown(latest), state)
    if not groups:
        return state
    to = move(cursor(groups, state), half)
    row = len(groups) - 1 if to is None else max(min(to, len(groups) - 1), 0)
    # At the top it stays on the most suspicious group, whichever comes to be that.
    return replace(state, selected=groups[row].id if row else None, row=row)
