"""What of a report is looked at, and how: a value that keys change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from leakscope.renderers.wording import by_suspicion, doing_of, place, verdict_words
from leakscope.report import Group, Report


class Page(StrEnum):
    """What fills the screen."""

    OVERVIEW = "overview"
    DETAIL = "detail"  # of the group that is selected
    HELP = "help"


class Order(StrEnum):
    """What stands first in the table."""

    SUSPICION = "suspicion"
    COUNT = "count"
    CHANGE = "change"
    WHERE = "where"


class Wish(StrEnum):
    """What is asked of the program besides another look of the view."""

    QUIT = "quit"
    WRITE = "write"
    REDRAW = "redraw"


@dataclass(frozen=True, slots=True)
class ViewState:
    """How the view stands. Of the watch it holds nothing but a report that is kept on show."""

    width: int = 80  # of the terminal
    height: int = 24
    page: Page = Page.OVERVIEW
    before_help: Page = Page.OVERVIEW
    selected: str | None = None  # id of a group; None is the first of the table, whichever that is
    row: int = 0  # where it stood when it was selected, for when it has gone
    order: Order = Order.SUSPICION
    filter: str = ""
    is_typing: bool = False  # the filter
    scroll: int = 0  # lines of the page above the screen
    frozen: Report | None = None  # what is shown instead of the latest report
    wish: Wish | None = None
    message: str = ""  # to be read until the next key

    def shown(self, latest: Report) -> Report:
        """The report to look at."""
        return self.frozen or latest


class Setting(NamedTuple):
    """What the view is told once: of the terminal, and of the watch."""

    unicode: bool = True
    has_keys: bool = True
    duration_s: float | None = None  # how long the watch is to take
    samples: int | None = None  # how many it is to take


def rows(report: Report, state: ViewState) -> list[Group]:
    """The groups of the table: those that match the filter, in order."""
    groups = by_suspicion(report)
    if state.filter:
        words = verdict_words(report)
        wanted = state.filter.casefold()
        groups = [group for group in groups if _matches(group, words[group.id], wanted)]
    ranked = _RANKS.get(state.order)
    return sorted(groups, key=ranked) if ranked else groups


# Equal ones stay as suspicion has them. By place without its line, so that a file stays together.
_RANKS: dict[Order, Callable[[Group], tuple[str | int, ...]]] = {
    Order.COUNT: lambda group: (-group.size,),
    Order.CHANGE: lambda group: (group.first - group.size,),
    Order.WHERE: lambda group: (
        (group.site.filename, group.site.function) if group.site else ("", "")
    ),
}


def cursor(groups: list[Group], state: ViewState) -> int:
    """Which row is selected, from 0; where its group has gone, the row that it was in."""
    if state.selected is None:
        return 0
    at = next((i for i, group in enumerate(groups) if group.id == state.selected), state.row)
    return max(min(at, len(groups) - 1), 0)


def selected(report: Report, state: ViewState) -> Group | None:
    """The group whose detail is shown: found even when the filter or its end hides its row."""
    if state.selected is not None:
        for group in report.groups:
            if group.id == state.selected:
                return group
        return None
    groups = rows(report, state)
    return groups[0] if groups else None


def _matches(group: Group, word: str, wanted: str) -> bool:
    # By its beginning: the digits of 500 ids hold most short texts somewhere.
    if group.id.startswith(wanted):
        return True
    texts = (
        *(word, doing_of(group), place(group.site)),
        *(text for frame in group.frames for text in (frame.function, frame.filename)),
        *(stay.name or "" for stay in group.stays),
    )
    return any(wanted in text.casefold() for text in texts)
