"""The first screen: the process, what is wrong with it, and the table of its groups."""

from __future__ import annotations

import re

from rich.text import Text

from leakscope.model import Frame
from leakscope.printable import cell_width
from leakscope.renderers.live.findings import findings
from leakscope.renderers.live.pen import Pen
from leakscope.renderers.live.stack import stack_lines
from leakscope.renderers.live.state import Order, ViewState, cursor, rows
from leakscope.renderers.theme import THEME, origin
from leakscope.renderers.wording import change, doing_of, place, plural, verdict_words
from leakscope.report import Group, Report

_CURSOR, _COUNT, _CHANGE, _VERDICT = 2, 5, 6, 9  # widths of columns
_WIDEST_STATE = 18
_WIDEST_SPARKLINE = 40
_READABLE_SPARKLINE = 8
_LEAST_SPARKLINE = 4  # less room than this shows nothing
_LEAST_ROWS = 5  # of the table, as far as there are so many groups


def overview(report: Report, state: ViewState, pen: Pen, room: int) -> list[Text]:
    """The leaks and the table, in so many lines at most."""
    shown = rows(report, state)
    # A blank line on each side of what is wrong, and the heading.
    table_least = min(len(shown), _LEAST_ROWS)
    for_findings = room - table_least - 3
    # Where there is hardly any room, what leaks comes before the table, and blank lines go.
    least = min(len(report.leaks), room // 2)
    blank = [Text()] if for_findings >= least else []
    told = findings(report, pen, max(for_findings, least))
    top = [*blank, *told, *blank] if told else [Text()]
    lines = [*top, *_Table(report, state, pen, shown).lines(room - len(top))][: max(room, 0)]
    # What is left of a tall terminal shows the stack of the group that is selected.
    stack = list(stack_lines(shown[cursor(shown, state)], pen)) if shown else []
    if stack and room - len(lines) > len(stack):
        lines += [Text(), *stack]
    return lines


class _Table:
    """The groups of one report, in columns as wide as the terminal has them."""

    def __init__(self, report: Report, state: ViewState, pen: Pen, shown: list[Group]) -> None:
        self.report = report
        self.state = state
        self.pen = pen
        self.shown = shown
        self.words = verdict_words(report)
        self.began_s = report.now_s - report.observed_s

    def lines(self, room: int) -> list[Text]:
        """The heading, and the rows about the selected one."""
        fitting = max(room - 1, 0)
        at = cursor(self.shown, self.state)
        first = max(min(at - fitting // 2, len(self.shown) - fitting), 0)
        visible = self.shown[first : first + fitting]
        self._measure(visible)
        heading = self._heading(first, len(visible))
        return [
            heading,
            *(self._row(group, first + i == at) for i, group in enumerate(visible)),
        ]

    def _measure(self, visible: list[Group]) -> None:
        """Only what is seen has a say in how wide a column is."""
        self.states = {group.id: self.pen.clean(doing_of(group)) for group in visible}
        widest = max((cell_width(state) for state in self.states.values()), default=0)
        self.state_width = min(max(widest, len("state")), _WIDEST_STATE, self.pen.width // 4)
        taken = _CURSOR + _COUNT + _CHANGE + _VERDICT + self.state_width + 4
        free = self.pen.width - taken
        names = [cell_width(self.pen.clean(self._file_only(group.site))) for group in visible]
        # A third, and less where that lets all places be read, for they say more.
        spark = max(free - 1 - max(names, default=0), _READABLE_SPARKLINE)
        spark = min(spark, free // 3, _WIDEST_SPARKLINE)
        self.spark_width = spark if spark >= _LEAST_SPARKLINE else 0
        taken += self.spark_width + 1 if self.spark_width else 0
        self.place_width = max(self.pen.width - taken, 1)

    def _heading(self, first: int, visible: int) -> Text:
        cell = self.pen.cell
        cells = [
            cell("count", _COUNT, right=True),
            cell("change", _CHANGE, right=True),
            cell("verdict", _VERDICT),
            *([cell("history", self.spark_width)] if self.spark_width else []),
            cell("state", self.state_width),
        ]
        return self.pen.line(
            (" " * _CURSOR + " ".join([*cells, self._where(first, visible)]), "heading")
        )

    def _where(self, first: int, visible: int) -> str:
        """The heading of the last column, with what of all is seen where that is not all."""
        total, notes = len(self.shown), []
        if visible < total:
            notes.append(f"{first + 1}-{first + visible} of {total}")
        elif self.state.filter:
            notes.append(plural(total, "group"))
        if self.state.filter:
            notes.append(f"with {self.state.filter!r}")
        if self.state.order is not Order.SUSPICION:
            notes.append(f"by {self.state.order}")
        return f"where ({', '.join(notes)})" if notes else "where"

    def _row(self, group: Group, is_selected: bool) -> Text:
        cell, word = self.pen.cell, self.words[group.id]
        style = THEME.get(word, THEME["leak"])
        line = Text(no_wrap=True, overflow="crop")
        line.append((">" if is_selected else "").ljust(_CURSOR))
        line.append(cell(str(group.size), _COUNT, right=True) + " ", style)
        line.append(cell(change(group), _CHANGE, right=True) + " ", style)
        line.append(cell(word, _VERDICT) + " ", style)
        drawn_from = len(line)
        if self.spark_width:
            drawn = self.pen.sparkline(
                group.points, self.report.now_s, self.began_s, self.spark_width
            )
            line.append(drawn + " ", THEME["sparkline"])
        drawn_to = len(line)
        line.append(cell(self.states[group.id], self.state_width) + " ")
        role = origin(group.site.filename if group.site else "")
        line.append(self.pen.cell(self._place(group.site), self.place_width), THEME[role])
        if is_selected:
            # What is drawn keeps its looks: a row like another must not seem to grow otherwise.
            line.stylize(THEME["cursor"], 0, drawn_from)
            line.stylize(THEME["cursor"], drawn_to)
        return self.pen.cut(line, self.pen.width)

    def _place(self, site: Frame | None) -> str:
        """The site; without its folder where that makes it fit, because the function says more."""
        whole = self.pen.clean(place(site))
        if cell_width(whole) <= self.place_width or site is None:
            return whole
        return self._file_only(site)

    def _file_only(self, site: Frame | None) -> str:
        if site is None:
            return place(site)
        return place(site._replace(filename=re.split(r"[/\\]", site.filename)[-1]))
