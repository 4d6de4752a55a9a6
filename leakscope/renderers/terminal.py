"""The live view of a watch, and colour for text: the only module that knows rich."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType

from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.console import Group as Lines
from rich.live import Live
from rich.style import Style
from rich.table import Table
from rich.text import Text

from leakscope.facts import Point
from leakscope.leaks import Leak
from leakscope.model import Frame
from leakscope.policy import Trend
from leakscope.printable import cell_width, printable
from leakscope.renderers.sparkline import ASCII_BLOCKS, BLOCKS, sparkline
from leakscope.renderers.wording import (
    by_suspicion,
    change,
    doing_of,
    doing_of_leak,
    place,
    plural,
    process_line,
    processes_line,
    verdict_words,
)
from leakscope.report import Group, Overall, Report
from leakscope.spans import duration
from leakscope.stacks import is_own_code, is_stdlib

# All styles there are, by a word or by the value of a Trend or an Overall. Only colours that can be
# read on a light ground and on a dark one, so neither yellow nor white; "dim" and "bold" where no
# colour is needed. Where there is none at all, words say the same.
THEME = {
    Trend.LEAKING: "bold red",
    Trend.RUNAWAY: "bold red",
    Trend.GROWING: "magenta",
    Trend.WARMING: "cyan",
    Trend.CHURNING: "",
    Trend.SHRINKING: "",
    Trend.STEADY: "dim",
    Overall.CLEAN: "green",
    Overall.UNKNOWN: "",
    "leak": "red",
    "own code": "bold",
    "library": "",
    "standard library": "dim",
    "heading": "dim",
    "sparkline": "cyan",
    "missed": "magenta",
}

# --- the live view --------------------------------------------------------------------------------

_COUNT, _CHANGE, _VERDICT = 5, 6, 9  # widths of columns
_WIDEST_STATE = 18
_WIDEST_SPARKLINE = 40
_LEAST_SPARKLINE = 4  # less room than this shows nothing


class LiveView:
    """Shows report after report in the same place of a terminal; gone when it is closed.

    It is gone then because the final report in text takes its place.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            # Words on stderr go above the view, if they would land in it: not if it goes to a file.
            redirect_stderr=sys.stderr.isatty(),
            vertical_overflow="crop",
        )

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def update(self, report: Report) -> None:
        """Show a report, as it fits the terminal now."""
        width, height = self._console.size
        view = report_view(
            report,
            width=width,
            # The line below the view is the cursor's: with it full, closing scrolls one line away.
            height=height - 1,
            unicode=not self._console.options.ascii_only,
        )
        self._live.update(view, refresh=True)


def report_view(report: Report, *, width: int, height: int, unicode: bool = True) -> RenderableType:
    """Process, leaks and groups, the most suspicious first: at most `height` lines."""
    return _View(report, width, unicode=unicode).lines(height)


class _View:
    """One report on a terminal of one width."""

    def __init__(self, report: Report, width: int, *, unicode: bool) -> None:
        self.report = report
        self.width = width
        self.unicode = unicode
        self.began_s = report.now_s - report.observed_s
        self.groups = by_suspicion(report)
        self.words = verdict_words(report)
        self.states = {group.id: self._clean(doing_of(group)) for group in self.groups}
        self.state_width = min(
            max((cell_width(state) for state in self.states.values()), default=0),
            _WIDEST_STATE,
            width // 4,
        )
        self.spark_width = self._spark_width()
        spark = self.spark_width + 1 if self.spark_width else 0
        taken = _COUNT + _CHANGE + _VERDICT + spark + self.state_width + 4
        self.place_width = max(width - taken, 1)

    def _spark_width(self) -> int:
        """The sparkline shares with the place what the other columns leave, a third for itself."""
        free = self.width - _COUNT - _CHANGE - _VERDICT - self.state_width - 5
        width = min(free // 3, _WIDEST_SPARKLINE)
        return width if width >= _LEAST_SPARKLINE else 0

    def lines(self, height: int) -> Lines:
        """What fits into this many lines."""
        top: list[RenderableType] = [*self._header(), Text()]
        # The table gets two thirds of what is left, unless there is room for all.
        leaks = self._leaks(max((height - len(top)) // 3, 1))
        top += [*leaks, Text()] if leaks else []
        room = height - len(top)
        if room < 2 or not self.groups:
            return Lines(*top[: max(height, 0)])
        fitting = room - 1 if len(self.groups) <= room - 1 else room - 2
        parts = [*top, self._table(self.groups[:fitting])]
        more = len(self.groups) - fitting
        if more > 0:
            parts.append(self._line(f"and {plural(more, 'more group')}", "heading"))
        return Lines(*parts)

    def _header(self) -> Iterator[Text]:
        report = self.report
        for target in report.targets[:1]:
            more = len(report.targets) - 1
            also = f" (and {more} more)" if more else ""
            yield self._line(process_line(target, report) + also)
        if report.several:
            yield self._line(processes_line(report))
        word = report.verdict.value
        line = self._line(word.upper() if report.verdict is Overall.LEAKING else word)
        line.stylize(THEME[report.verdict])
        line.append("  no sample yet" if report.threads is None else f"  {report.threads} threads ")
        # The sparkline stands between texts of its own line, which have to fit as well.
        line.append(
            self._sparkline(report.total_points, min(self.width // 4, _WIDEST_SPARKLINE)),
            THEME["sparkline"],
        )
        line.append(f"  {duration(report.observed_s)}, {plural(report.samples, 'sample')}")
        line.append(f", {report.missed} missed", THEME["missed"] if report.missed else "")
        yield line

    def _leaks(self, room: int) -> list[RenderableType]:
        leaks = self.report.leaks
        shown = leaks if len(leaks) <= room else leaks[: max(room - 1, 0)]
        lines: list[RenderableType] = [self._line(self._sentence(leak), "leak") for leak in shown]
        more = len(leaks) - len(shown)
        if more:
            lines.append(self._line(f"and {plural(more, 'more leak')}", "leak"))
        return lines

    def _sentence(self, leak: Leak) -> str:
        return (
            f"{plural(len(leak.leaked), 'thread')} leak, {leak.rate_per_min:.1f} more a minute, "
            f"in {place(leak.site)} [{doing_of_leak(leak, self.report)}]"
        )

    def _table(self, groups: Sequence[Group]) -> Table:
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style=THEME["heading"])

        def column(name: str, width: int, *, right: bool = False) -> None:
            table.add_column(
                name,
                width=width,
                no_wrap=True,
                justify="right" if right else "left",
                overflow="ellipsis" if self.unicode else "crop",
            )

        column("count", _COUNT, right=True)
        column("change", _CHANGE, right=True)
        column("verdict", _VERDICT)
        if self.spark_width:
            column("over time", self.spark_width)
        column("state", self.state_width)
        column("where", self.place_width)
        for group in groups:
            table.add_row(*self._cells(group))
        return table

    def _cells(self, group: Group) -> Iterator[Text]:
        word = self.words[group.id]
        style = THEME.get(word, THEME["leak"])
        yield Text(str(group.size), style)
        yield Text(change(group), style)
        yield Text(word, style)
        if self.spark_width:
            yield Text(self._sparkline(group.points, self.spark_width), THEME["sparkline"])
        yield Text(self.states[group.id])
        yield Text(
            self._place(group.site), THEME[_origin(group.site.filename if group.site else "")]
        )

    def _place(self, site: Frame | None) -> str:
        """The site; without its folder where that makes it fit, because the function says more."""
        whole = self._clean(place(site))
        if cell_width(whole) <= self.place_width or site is None:
            return whole
        name = re.split(r"[/\\]", site.filename)[-1]
        return self._clean(place(site._replace(filename=name)))

    def _sparkline(self, points: Sequence[Point], width: int) -> str:
        blocks = BLOCKS if self.unicode else ASCII_BLOCKS
        return sparkline(points, self.report.now_s, self.began_s, width, blocks=blocks)

    def _line(self, text: str, role: str = "library") -> Text:
        return Text(
            self._clean(text),
            THEME[role],
            no_wrap=True,
            overflow="ellipsis" if self.unicode else "crop",
        )

    def _clean(self, text: str) -> str:
        """Harmless, and within what the terminal can show."""
        text = printable(text)
        return text if self.unicode else text.encode("ascii", "backslashreplace").decode("ascii")


def _origin(filename: str) -> str:
    if not filename or is_stdlib(filename):
        return "standard library"
    return "own code" if is_own_code(filename) else "library"


# --- colour for text ------------------------------------------------------------------------------


def console_for(*, color: bool) -> Console:
    """A console on standard output; without colour it keeps bold and dim."""
    return Console(no_color=not color, highlight=False, markup=False, emoji=False)


# What a line of renderers.text looks like, and where in the theme its style is.
_VERDICT_LINE = re.compile(r"(LEAKING|growing|clean|unknown): ")
_LEAK_LINE = re.compile(r"LEAK \d+  ")
_FRAME_LINE = re.compile(r" *#   .*?   (?P<file>\S.*?)(?::\d+)?$")
_GROUP_LINE = re.compile(r"\d+ @ .*  (?P<trend>LEAKING|RUNAWAY|GROWING|WARMING)$")
_TABLE_LINE = re.compile(r" *\d+ +(?:0|[+-]\d+) +\d+  (?P<trend>[a-z]+) ")
_CHANGE_LINE = re.compile(r" *[\d.]+ s  \S+  \w+ -> (?P<trend>[a-z]+)  ")
_GROWN_LINE = re.compile(r"\+\d+  \d+ -> \d+  ")  # of a comparison
_CHECK_LINE = re.compile(r"(?P<status>ok|note|problem)  +\S")  # of a check-up
_CHECK_STYLES = {"ok": "", "note": "magenta", "problem": "bold red"}


def colored(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a text report, with escapes for a terminal that shows colour."""
    for line in lines:
        style = _style_of(line)
        yield Style.parse(style).render(line, color_system=ColorSystem.STANDARD) if style else line


def _style_of(line: str) -> str:
    verdict = _VERDICT_LINE.match(line)
    if verdict:
        return THEME[Overall(verdict[1].lower())]
    if _LEAK_LINE.match(line):
        return THEME[Trend.LEAKING]
    if _GROWN_LINE.match(line):
        return THEME[Trend.GROWING]
    check = _CHECK_LINE.match(line)
    if check:
        return _CHECK_STYLES[check["status"]]
    frame = _FRAME_LINE.match(line)
    if frame:
        return THEME[_origin(frame["file"])]
    for pattern in (_GROUP_LINE, _TABLE_LINE, _CHANGE_LINE):
        found = pattern.match(line)
        if found:
            return THEME.get(found["trend"].lower(), "")
    return ""
