"""The stack of a group, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from leakscope.printable import cell_width
from leakscope.renderers.live.pen import Pen
from leakscope.renderers.theme import THEME, origin
from leakscope.renderers.wording import location
from leakscope.report import Group
from leakscope.stacks import real_frames

_WIDEST_FUNCTION = 48  # a longer one does not push the paths of the others away
_GAP = 2


def stack_lines(group: Group, pen: Pen) -> Iterator[Text]:
    """The frames, innermost first; functions in a column."""
    frames = real_frames(group.frames)
    yield pen.line((f"stack of {group.id}, the innermost frame first", "heading"))
    if not frames:
        yield pen.line("  not read")
    widest = max((cell_width(pen.clean(frame.function)) for frame in frames), default=0)
    width = min(widest, _WIDEST_FUNCTION, max(pen.width // 2, 1))
    room = pen.width - width - 2 * _GAP
    for frame in frames:
        where = pen.tail(location(frame), room)
        line = pen.line(f"  {pen.cell(frame.function, width)}  {where}")
        line.stylize(THEME[origin(frame.filename)])
        yield line
