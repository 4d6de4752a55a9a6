"""Charts as SVG, drawn by pygal: threads over time, one leak, the way to its limit.

pygal would bring styles, fonts and scripts of its own. They are taken out: colours are the page's,
so that they follow light, dark and print, and the page allows no script but its own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

from leakscope.renderers.page.curves import Band, Curve, band_sizes
from leakscope.renderers.page.timescale import Tick, TimeScale, ahead_ticks, count_step

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# Moments at which a curve is drawn: about one for each three pixels of a wide screen.
COLUMNS = 240
_MOST_Y_LABELS = 5
_WIDTH = 760  # in the units of the drawing; the page scales it
_LOW, _HIGH = 220, 260  # of the chart that is as wide as the page, of one beside text
_LABEL_SIZE = 13

_Points = list[tuple[float, float]]


class Fit(NamedTuple):
    """A straight line through what was seen: the rate that the leak is told with."""

    at_s: float  # a moment, and the count that the line has there
    height: float
    per_s: float

    def count_at(self, at_s: float) -> float:
        """The count on the line at a moment."""
        return self.height + self.per_s * (at_s - self.at_s)


class Way(NamedTuple):
    """The way of a leak to the limit: counts of its threads, and seconds from now."""

    now: int
    per_s: float
    seconds: float
    earliest_s: float
    latest_s: float | None

    @property
    def until_s(self) -> float:
        """How far the chart looks ahead: to the latest, but no further than twice the expected."""
        furthest = 2 * self.seconds
        return min(self.latest_s, furthest) if self.latest_s is not None else furthest

    @property
    def limit(self) -> float:
        """How many threads of this leak there are when the limit is reached."""
        return self.now + self.per_s * self.seconds


def stacked(bands: Sequence[Band], names: Sequence[str], total: Curve, scale: TimeScale) -> str:
    """Threads over time: a band for each group, before the watch apart from in it.

    The names, printable ones, are told when a pointer rests on their bands.
    """
    chart = _Chart(scale.ticks(), _LOW, "stacked")
    for part, moments, rows in _parts(bands, total, scale):
        lower = [0] * len(moments)
        xs = [scale.x(at) for at in moments]
        for index in reversed(range(len(bands))):
            upper = [low + row[index] for low, row in zip(lower, rows, strict=True)]
            if any(row[index] for row in rows):
                chart.band(f"slot-{bands[index].slot} {part}", xs, lower, upper, names[index])
            lower = upper
    chart.upright("began", scale.past_share)
    return chart.svg()


def is_drawn(bands: Sequence[Band], total: Curve, scale: TimeScale) -> list[bool]:
    """Of each band whether the stacked chart shows anything of it."""
    rows = [row for _, _, rows in _parts(bands, total, scale) for row in rows]
    return [any(row[index] for row in rows) for index in range(len(bands))]


def _parts(
    bands: Sequence[Band], total: Curve, scale: TimeScale
) -> Iterator[tuple[str, list[float], list[list[int]]]]:
    """Before the watch and in it: the moments of its columns, and the sizes of all bands then."""
    before, seen = scale.moments(COLUMNS)
    # Up to its very end the time before the watch is told by births.
    for part, moments, watch_s in (("past", before, inf), ("seen", seen, scale.watch_s)):
        yield part, moments, [band_sizes(bands, total, at, watch_s) for at in moments]


def leak_chart(curve: Curve, fit: Fit | None, scale: TimeScale) -> str:
    """One leak: its threads over time, and the line that its rate makes."""
    chart = _Chart(scale.ticks(), _HIGH, "leak")
    before, seen = scale.moments(COLUMNS)
    for part, moments, watch_s in (("past", before, inf), ("seen", seen, scale.watch_s)):
        sizes = [curve.at(at, watch_s) for at in moments]
        chart.band(part, [scale.x(at) for at in moments], [0] * len(sizes), sizes)
    if fit is not None:
        ends = [scale.begin_s, scale.watch_s, scale.end_s]
        if fit.per_s > 0:
            ends.append(fit.at_s - fit.height / fit.per_s)  # where it begins with no thread
        inside = sorted(at for at in ends if scale.begin_s <= at <= scale.end_s)
        line = [(scale.x(at), fit.count_at(at)) for at in inside]
        chart.line("fit", [point for point in line if point[1] >= -1e-6])
    chart.upright("began", scale.past_share)
    return chart.svg()


def way_chart(way: Way) -> str:
    """How a leak goes on to the limit: as expected, and within the range."""
    chart = _Chart(ahead_ticks(way.until_s), _HIGH, "way")
    fastest = way.per_s * way.seconds / way.earliest_s if way.earliest_s > 0 else way.per_s
    slowest = way.per_s * way.seconds / way.latest_s if way.latest_s else 0.0
    # Between these all lines are straight.
    kinks = {0.0, way.earliest_s, way.seconds, way.until_s}
    moments = sorted(at for at in kinks if at <= way.until_s)

    def count(rate: float, at_s: float) -> float:
        return min(way.now + rate * at_s, way.limit)

    xs = [at / way.until_s for at in moments]
    chart.band(
        "range", xs, [count(slowest, at) for at in moments], [count(fastest, at) for at in moments]
    )
    reached = way.seconds / way.until_s
    chart.line("expected", [(0.0, float(way.now)), (min(reached, 1.0), way.limit)])
    chart.line("limit", [(0.0, way.limit), (1.0, way.limit)])
    chart.mark(way.limit)
    return chart.svg()


class _Shape(NamedTuple):
    """An area or a line of a chart."""

    kind: str
    points: _Points
    fill: bool
    title: str = ""


class _Chart:
    """A chart that is put together: areas and lines over a time axis from 0 to 1."""

    def __init__(self, ticks: Sequence[Tick], height: int, kind: str) -> None:
        self._ticks = ticks
        self._height = height
        self._kind = kind
        self._shapes: list[_Shape] = []
        self._upright: tuple[str, float] | None = None
        self._top = 0.0
        self._marked: float | None = None

    def band(
        self,
        kind: str,
        xs: Sequence[float],
        lower: Sequence[float],
        upper: Sequence[float],
        title: str = "",
    ) -> None:
        """An area between two curves. Its kind is its class, which the page's style knows."""
        there = _without_midpoints(list(zip(xs, upper, strict=True)))
        back = _without_midpoints(list(zip(xs, lower, strict=True)))[::-1]
        self._add(_Shape(kind, [*there, *back], True, title))

    def line(self, kind: str, points: _Points) -> None:
        """A line."""
        self._add(_Shape(kind, points, False))

    def upright(self, kind: str, x: float) -> None:
        """A line from the bottom to the top, where there is something on either side of it."""
        if 0 < x < 1:
            self._upright = kind, x

    def mark(self, y: float) -> None:
        """Label this very count at the side."""
        self._marked = y

    def _add(self, shape: _Shape) -> None:
        if shape.points:
            self._shapes.append(shape)
            self._top = max([self._top, *(y for _, y in shape.points)])

    def svg(self) -> str:
        """The drawing, without anything but shapes and labels."""
        step = count_step(max(self._top, 1), _MOST_Y_LABELS)
        top = max(self._top * 1.02, step)
        labels = [float(label) for label in range(0, int(top) + 1, step)]
        if self._marked is not None:
            # One that is too near would be printed over.
            labels = [label for label in labels if abs(label - self._marked) > top / 10]
            labels.append(self._marked)
        drawn = _pygal(self._ticks, labels, top, self._height, self._kind)
        shapes = list(self._shapes)
        if self._upright is not None:
            kind, x = self._upright
            shapes.append(_Shape(kind, [(x, 0.0), (x, top)], False))
        for shape in shapes:
            drawn.add("", shape.points, fill=shape.fill)
        return _bare(drawn.render_tree(), shapes)


def _without_midpoints(points: _Points) -> _Points:
    """The points without those that lie in the middle of a level stretch."""
    return [
        point
        for i, point in enumerate(points)
        if i in (0, len(points) - 1) or not points[i - 1][1] == point[1] == points[i + 1][1]
    ]


def _pygal(
    ticks: Sequence[Tick], labels: Sequence[float], top: float, height: int, kind: str
) -> Any:  # pygal says no types
    # pygal would have a say in all imports from now on, to find its maps.
    finders = sys.meta_path[:]
    from pygal import XY
    from pygal.etree import etree
    from pygal.style import Style

    etree.to_etree()  # it would take lxml where that happens to be installed
    sys.meta_path[:] = finders
    chart = XY(
        width=_WIDTH,
        height=height,
        xrange=(0, 1),
        range=(0, top),
        show_dots=False,
        show_legend=False,
        show_x_guides=True,
        # The page sets these sizes too; here they make room for the labels.
        style=Style(label_font_size=_LABEL_SIZE, major_label_font_size=_LABEL_SIZE),
        js=(),
        css=(),
        no_prefix=True,
        classes=("chart", kind),
        margin=4,
        spacing=6,
        disable_xml_declaration=True,
    )
    chart.x_labels = [{"value": tick.x, "label": tick.label} for tick in ticks]
    chart.y_labels = [{"value": label, "label": f"{label:,.0f}"} for label in labels]
    return chart


# What pygal puts in beside shapes and labels: styles, scripts, its name, the boxes of its tooltips.
_NOT_OURS = {"defs", "title", "desc", "rect"}


def _bare(root: Element, shapes: Sequence[_Shape]) -> str:
    """The drawing without styles, scripts, comments and what only pygal's script would use."""
    _strip(root)
    for number, shape in enumerate(shapes):
        drawn = root.find(f".//g[@class='series serie-{number} color-{number}']")
        if drawn is None:
            continue  # nothing can be seen of it
        drawn.set("class", f"shape {shape.kind}")
        if shape.title:
            ElementTree.SubElement(drawn[0], "title").text = shape.title
    root.attrib.pop("id", None)
    root.set("aria-hidden", "true")  # the text and the table beside it say what it shows
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _strip(node: Element) -> None:
    for child in list(node):
        _strip(child)
        is_comment = not isinstance(child.tag, str)
        is_empty = child.tag == "g" and not len(child)
        if child.tag in _NOT_OURS or is_comment or is_empty:
            node.remove(child)
        else:
            child.attrib.pop("style", None)
            if child.tag == "path" and "d" in child.attrib:
                child.set("d", _rounded(child.attrib["d"]))


def _rounded(path: str) -> str:
    """Tenths of a unit are finer than any screen; six digits only make the page longer."""
    return re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.1f}", path)
