"""What has changed between two looks at the same software, hours or releases apart. Pure."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from leakscope.model import Frame, Frames
from leakscope.stacks import Level, group_id, site
from leakscope.waits import wait_by_frames

# Fewer threads than this come and go between two looks at anything that works: requests are in
# flight, a pool starts a worker. (A leak that is smaller has grown further at the next look.)
MIN_GROWTH = 5

# From what keeps most of a stack to what keeps least.
_FINENESS = (Level.LINE, Level.FUNCTION, Level.ENTRY)


class Stack(NamedTuple):
    """Threads that were found in one stack."""

    frames: Frames
    size: int


@dataclass(frozen=True, slots=True)
class Look:
    """All threads of a process at one moment, as they were saved."""

    name: str  # of the file
    stacks: tuple[Stack, ...]
    level: Level = Level.LINE  # the finest that it can be grouped at
    is_whole: bool = True  # file names are; else they are short, as in py-spy's text
    notes: tuple[str, ...] = ()


class Held(NamedTuple):
    """How many threads a group held."""

    size: int
    frames: Frames
    is_whole: bool = True


class ChangeKind(StrEnum):
    """What became of a group."""

    NEW = "new"
    GROWN = "grown"
    SAME = "same"
    SHRUNK = "shrunk"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Change:
    """A group, before and after."""

    id: str
    frames: Frames
    site: Frame | None
    before: int
    after: int
    wait: str | None = None  # what its threads wait for, as far as the frames tell

    @property
    def growth(self) -> int:
        """By how many threads it has grown; negative where it shrank."""
        return self.after - self.before

    @property
    def kind(self) -> ChangeKind:
        """What became of it."""
        if not self.growth:
            return ChangeKind.SAME
        if self.growth > 0:
            return ChangeKind.GROWN if self.before else ChangeKind.NEW
        return ChangeKind.SHRUNK if self.after else ChangeKind.GONE


@dataclass(frozen=True, slots=True)
class Diff:
    """Two looks, and what has changed between them."""

    before: str  # the names of the files
    after: str
    level: Level
    changes: tuple[Change, ...]  # biggest growth first
    notes: tuple[str, ...] = ()
    min_growth: int = MIN_GROWTH  # of one group, to be called grown

    @property
    def threads_before(self) -> int:
        """Threads that were compared."""
        return sum(change.before for change in self.changes)

    @property
    def threads_after(self) -> int:
        """Threads that were compared."""
        return sum(change.after for change in self.changes)

    @property
    def has_grown(self) -> bool:
        """Whether any one group has grown by as many threads as that takes, or more."""
        return any(change.growth >= self.min_growth for change in self.changes)


def compare(before: Mapping[str, Held], after: Mapping[str, Held]) -> tuple[Change, ...]:
    """What became of each group; biggest growth first, then the biggest, then by id."""
    changes = [
        _change(id_, before.get(id_, _NONE), after.get(id_, _NONE))
        for id_ in before.keys() | after.keys()
    ]
    return tuple(sorted(changes, key=lambda c: (-c.growth, -c.after, c.id)))


_NONE = Held(0, ())


def _change(id_: str, before: Held, after: Held) -> Change:
    held = [side for side in (after, before) if side.size]
    # Whole file names say more than short ones, and what is there now more than what was.
    shown = min(held, key=lambda side: not side.is_whole, default=_NONE)
    whole = shown.frames if shown.is_whole else _completed(shown.frames)
    place = site(whole)
    if place is not None:
        place = shown.frames[whole.index(place)]
    return Change(id_, shown.frames, place, before.size, after.size, wait_by_frames(whole))


def _completed(frames: Frames) -> Frames:
    """Short names as if they were whole, so that what is known of the standard library applies."""
    return tuple(
        frame._replace(filename=f"/lib/python3/{frame.filename}")
        if re.split(r"[/\\]", frame.filename)[0].removesuffix(".py") in sys.stdlib_module_names
        else frame
        for frame in frames
    )


def difference(
    before: Look, after: Look, level: Level, ignore: Iterable[re.Pattern[str]] = ()
) -> Diff:
    """Compare two looks, grouped at a level that `can_group` allows for both."""
    is_whole = before.is_whole and after.is_whole
    changes = compare(
        _grouped(before, level, is_whole=is_whole), _grouped(after, level, is_whole=is_whole)
    )
    patterns = tuple(ignore)
    notes = [*before.notes, *after.notes]
    if not is_whole:
        short = " and ".join(look.name for look in (before, after) if not look.is_whole)
        notes.append(
            f"py-spy's text gives short file names ({short}): stacks were compared by function "
            "and base name of the file, and the ids are not those of other reports"
        )
    return Diff(
        before.name,
        after.name,
        level,
        # Here and not before, so that a pattern hides a group on both sides or on none.
        tuple(change for change in changes if not _is_hidden(change, patterns)),
        tuple(notes),
    )


def can_group(look: Look, level: Level) -> bool:
    """Whether enough is known of the stacks: what was grouped by entry has no functions left."""
    return _FINENESS.index(level) >= _FINENESS.index(look.level)


def _grouped(look: Look, level: Level, *, is_whole: bool) -> dict[str, Held]:
    groups: dict[str, Held] = {}
    biggest: dict[str, tuple[int, Frames]] = {}
    for stack in look.stacks:
        id_ = group_id(stack.frames if is_whole else _reduced(stack.frames), level)
        size = stack.size + (groups[id_].size if id_ in groups else 0)
        # The commonest stack stands for the group; a total order among equals.
        biggest[id_] = max(biggest.get(id_, (0, ())), (stack.size, stack.frames))
        groups[id_] = Held(size, biggest[id_][1], look.is_whole)
    return groups


def _reduced(frames: Frames) -> Frames:
    """With base names only, which is all that both kinds of file names have in common."""
    return tuple(
        frame._replace(filename=re.split(r"[/\\]", frame.filename)[-1]) for frame in frames
    )


def _is_hidden(change: Change, patterns: tuple[re.Pattern[str], ...]) -> bool:
    return any(
        pattern.search(text)
        for pattern in patterns
        for frame in change.frames
        for text in (frame.function, frame.filename)
    )
