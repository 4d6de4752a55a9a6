"""A report as a file of speedscope's: a profile a sample, so that growth can be stepped through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from leakscope import __version__
from leakscope.facts import Point
from leakscope.model import Frame, Frames
from leakscope.printable import clipped, printable
from leakscope.renderers.folded import NOT_READ
from leakscope.renderers.wording import command_of, plural
from leakscope.report import Group, Kind, Report
from leakscope.stacks import real_frames
from leakscope.wire import encode

SCHEMA = "https://www.speedscope.app/file-format-schema.json"
# One steps through them by a key each, and each holds every stack again: of a hundred profiles with
# a hundred stacks the file has a few megabytes, which a browser still opens at once.
MAX_PROFILES = 100
_LONGEST_NAME = 200


class Profile(NamedTuple):
    """The threads at one moment."""

    name: str
    stacks: tuple[tuple[Frames, int], ...]  # and how many threads are in each


def lines(report: Report) -> Iterator[str]:
    """The file, on one line: the moments of a watch in their order, or one look."""
    groups = [group for group in report.groups if group.level is report.level]
    if report.kind is Kind.DUMP:
        yield document([_now(groups)], _title(report))
        return
    known = _moments(groups, report.total_points)
    shown = known if len(known) <= MAX_PROFILES else _evenly(known[0], known[-1])
    title = _title(report)
    if shown is not known:
        # Sizes were kept at so many moments; of a long watch these are a choice already.
        title += f", at {len(shown)} moments of {len(known)} with a change"
    yield document([_at(moment_s, groups) for moment_s in shown] or [_now(groups)], title)


def document(profiles: Sequence[Profile], name: str) -> str:
    """The file, which opens with the last profile."""
    frames: dict[tuple[str, str, int], int] = {}
    shown = [_profile(profile, frames) for profile in profiles]
    return encode(
        {
            "$schema": SCHEMA,
            "exporter": f"leakscope {__version__}",
            "name": name,
            "activeProfileIndex": len(shown) - 1,
            "shared": {"frames": [_frame(*frame) for frame in frames]},
            "profiles": shown,
        }
    )


# --- which moments --------------------------------------------------------------------------------


def _now(groups: Iterable[Group]) -> Profile:
    return _profile_of("now", [(group.frames, group.size) for group in groups])


def _moments(groups: Iterable[Group], total: Sequence[Point]) -> list[float]:
    """When anything is known to have changed, in seconds since the first sample."""
    points = [*total, *(point for group in groups for point in group.points)]
    return sorted({point.elapsed_s for point in points})


def _evenly(first_s: float, last_s: float) -> list[float]:
    """As many moments as are shown, with equal times between them: a step is a step in time."""
    step_s = (last_s - first_s) / (MAX_PROFILES - 1)
    return [*(first_s + i * step_s for i in range(MAX_PROFILES - 1)), last_s]


def _at(moment_s: float, groups: Iterable[Group]) -> Profile:
    sizes = [(group.frames, _size_at(moment_s, group.points)) for group in groups]
    return _profile_of(f"after {moment_s:.1f} s", sizes)


def _size_at(moment_s: float, points: Iterable[Point]) -> int:
    """A size holds until the next one; before the first the group was not there."""
    size = 0
    for point in points:
        if point.elapsed_s > moment_s:
            break
        size = point.size
    return size


def _profile_of(when: str, sizes: Iterable[tuple[Frames, int]]) -> Profile:
    present = tuple((frames, size) for frames, size in sizes if size)
    return Profile(f"{when}: {plural(sum(size for _, size in present), 'thread')}", present)


def _title(report: Report) -> str:
    targets = [command_of(target, _LONGEST_NAME) or str(target.pid) for target in report.targets]
    return clipped(", ".join(targets) or "no process", _LONGEST_NAME)


# --- the format -----------------------------------------------------------------------------------


def _profile(profile: Profile, frames: dict[tuple[str, str, int], int]) -> dict[str, Any]:
    weights = [size for _, size in profile.stacks]
    return {
        "type": "sampled",
        "name": profile.name,
        "unit": "none",
        "startValue": 0,
        "endValue": sum(weights),
        "samples": [_indices(stack, frames) for stack, _ in profile.stacks],
        "weights": weights,
    }


def _indices(stack: Frames, frames: dict[tuple[str, str, int], int]) -> list[int]:
    """The numbers of the frames, outermost first; one that is new gets the next number."""
    real = real_frames(stack) or (Frame(NOT_READ, "", 0),)
    return [
        frames.setdefault((frame.function, frame.filename, frame.line), len(frames))
        for frame in reversed(real)
    ]


def _frame(function: str, filename: str, line: int) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": printable(function) or "?"}
    if filename:
        shown["file"] = printable(filename)
    if line > 0:
        shown["line"] = line
    return shown
