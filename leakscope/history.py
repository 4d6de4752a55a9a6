"""What has been seen so far: each living thread's stay in its groups, each group's past.

The only long-lived state. It is fed with changes, never samples by itself, and forgets what ended:
memory is bounded by living threads and distinct stacks.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import sqrt

from leakscope.facts import GroupFacts, Left, Point, Stay
from leakscope.model import Changes, Frames, RunState, ThreadKey, ThreadSample
from leakscope.stacks import Level, group_id
from leakscope.stops import Woken, merely_stopped
from leakscope.waits import wait_by_frames, wait_by_kernel

# How many sizes and stays a group keeps. A rule looks at shapes over minutes to hours; 600 points
# are more than any screen shows, and older ones are thinned, not cut off.
MAX_POINTS = 600
MAX_LEFT = 400
# Groups that are empty now, all levels together; the one that has been longest is forgotten first.
MAX_EMPTY = 256
# Groups that a thread is known to have been in. One that has been in more is busy in any case.
MAX_PLACES = 64
# Distinct stacks (with lines) that a group remembers, to show the most common one.
MAX_VARIANTS = 64


@dataclass(slots=True)
class Track:
    """A living thread."""

    sample: ThreadSample
    from_start: bool  # it was there at the first look
    seen_s: float  # when it was first seen
    stays: dict[Level, OpenStay] = field(default_factory=dict)
    been: dict[str, int] = field(default_factory=dict)  # group id -> times that it came there
    counted_to: int = 0  # the look up to which these are counted; its first is not
    looks: int = 0  # looks at which it was known what it does
    looks_running: int = 0
    looks_waiting: int = 0
    cpu_ticks: int = 0
    moved_at: int = 0  # the look at which it came, or that last told of a run of its own

    def count_to(self, look: int) -> None:
        """Count the looks since the last count, at all of which it did what it does now."""
        looks, self.counted_to = look - self.counted_to, look
        if self.sample.state is RunState.RAN:
            return
        self.looks += looks
        if self.sample.state is RunState.RUNNING:
            self.looks_running += looks
        if wait_by_frames(self.sample.frames) is not None:
            self.looks_waiting += looks

    @property
    def began_s(self) -> float:
        """When it began: by the kernel where that is known, else when it was first seen."""
        if self.sample.born_s is not None:
            return min(self.sample.born_s, self.seen_s)
        return self.seen_s


@dataclass(slots=True)
class OpenStay:
    """A living thread in the group that it is in now."""

    cell: Cell
    since_s: float
    visits: int  # times that the thread has come into this group
    from_look: int  # its looks are counted after this one
    ran_looks: int = 0  # of these, looks after which it turned out to have run
    last_ran_s: float | None = None
    rests_s: float = 0.0  # times between its runs, added up
    rests_s2: float = 0.0  # their squares

    @property
    def mean_rest_s(self) -> float:
        """The mean time between two runs; 0 before the first."""
        return self.rests_s / self.ran_looks if self.ran_looks else 0.0

    @property
    def rest_spread_s(self) -> float:
        """The standard deviation of the times between its runs."""
        if not self.ran_looks:
            return 0.0
        return sqrt(max(self.rests_s2 / self.ran_looks - self.mean_rest_s**2, 0.0))


@dataclass(slots=True)
class Cell:
    """A group and its past."""

    id: str
    level: Level
    frames: Frames
    first: int = 0
    peak: int = 0
    arrived: int = 0
    departed: int = 0
    born: int = 0
    ended: int = 0
    members: dict[ThreadKey, Track] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    left: deque[Left] = field(default_factory=lambda: deque(maxlen=MAX_LEFT))
    variants: Counter[Frames] = field(default_factory=Counter)

    def add_variant(self, frames: Frames) -> None:
        """Count one more thread with exactly this stack."""
        if frames in self.variants or len(self.variants) < MAX_VARIANTS:
            self.variants[frames] += 1

    def drop_variant(self, frames: Frames) -> None:
        """Count one less, of a stack that may not have been counted."""
        if self.variants[frames] > 1:
            self.variants[frames] -= 1
        else:
            del self.variants[frames]


class History:
    """All groups at the levels that are judged or shown, fed with one look at a time."""

    def __init__(self, levels: Iterable[Level]) -> None:
        self.levels = tuple(levels)
        self.looks = 0
        self.now_s = 0.0
        self.read_s = 0.0  # when stacks were last read
        self.began_s = 0.0
        self.counters_known = False
        self.stops = 0  # times that the whole process was stopped for a while
        self._was_held = False  # at the look before, by such a stop
        self.process_began_s: float | None = None
        self.tracks: dict[ThreadKey, Track] = {}
        self._cells: dict[Level, dict[str, Cell]] = {level: {} for level in self.levels}
        self._touched: dict[str, Cell] = {}
        self._empty: dict[str, Cell] = {}  # in the order in which they emptied

    def observe(self, changes: Changes) -> None:
        """Take in one look."""
        first_look = self.looks == 0
        self.looks += 1
        self.now_s = changes.elapsed_s
        if changes.stacks_read:
            self.read_s = changes.elapsed_s
        if first_look:
            self.began_s = changes.elapsed_s
        for key in changes.ended:
            self._end(key)
        for thread in changes.changed:
            self._move(thread)
        for thread in changes.began:
            self._begin(thread, first_look)
        self._count_runs(changes)
        self._note_sizes()

    def cells(self, level: Level) -> Iterable[Cell]:
        """The groups of a level, those that are empty now included."""
        return self._cells[level].values()

    def facts(self, level: Level) -> list[GroupFacts]:
        """What can be judged of each group of a level; biggest first, a total order."""
        facts = [self._facts(cell) for cell in self._cells[level].values()]
        return sorted(facts, key=lambda f: (-f.size, -f.peak, f.id))

    def _begin(self, thread: ThreadSample, first_look: bool) -> None:
        track = Track(thread, first_look, self.now_s, counted_to=self.looks, moved_at=self.looks)
        self.tracks[thread.key] = track
        if thread.runs is not None:
            self.counters_known = True
        if thread.born_s is not None:
            # The main thread is the oldest and lives as long as the process.
            self.process_began_s = min(self.process_began_s or 0.0, thread.born_s)
        for level in self.levels:
            _count_birth(self._enter(track, level, self.looks), track, 1)

    def _move(self, thread: ThreadSample) -> None:
        track = self.tracks[thread.key]
        track.count_to(self.looks - 1)
        frames_before = track.sample.frames
        track.sample = thread
        if thread.frames == frames_before:
            return
        if not frames_before and len(track.been) == len(self.levels):  # it was nowhere else
            self._name(track)
            return
        for level in self.levels:
            stay = track.stays[level]
            stay.cell.drop_variant(frames_before)
            if group_id(thread.frames, level) == stay.cell.id:
                stay.cell.add_variant(thread.frames)
                continue
            self._leave(track, level)
            self._enter(track, level, self.looks - 1).arrived += 1

    def _name(self, track: Track) -> None:
        """The stack of a thread was read for the first time: it began there, and not elsewhere."""
        for level in self.levels:
            cell = track.stays[level].cell
            cell.drop_variant(())
            del cell.members[track.sample.key]
            del track.been[cell.id]
            _count_birth(cell, track, -1)
            self._touched[cell.id] = cell
            _count_birth(self._enter(track, level, self.looks - 1), track, 1)

    def _end(self, key: ThreadKey) -> None:
        track = self.tracks.pop(key)
        for level in self.levels:
            stay = track.stays[level]
            stay.cell.drop_variant(track.sample.frames)
            self._leave(track, level, ended=True)

    def _enter(self, track: Track, level: Level, from_look: int) -> Cell:
        frames = track.sample.frames
        cell_id = group_id(frames, level)
        cell = self._cells[level].get(cell_id)
        if cell is None:
            cell = self._cells[level][cell_id] = Cell(cell_id, level, frames)
        cell.members[track.sample.key] = track
        cell.add_variant(frames)
        visits = track.been[cell_id] = track.been.get(cell_id, 0) + 1
        track.stays[level] = OpenStay(cell, self.now_s, visits, from_look)
        if len(track.been) > MAX_PLACES:
            del track.been[next(iter(track.been))]
        self._touched[cell_id] = cell
        return cell

    def _leave(self, track: Track, level: Level, *, ended: bool = False) -> None:
        stay = track.stays[level]
        cell = stay.cell
        del cell.members[track.sample.key]
        cell.departed += 1
        cell.ended += ended
        cell.left.append(Left(self.now_s, self.now_s - track.began_s, ended))
        self._touched[cell.id] = cell

    def _merely_stopped(self, changes: Changes) -> frozenset[ThreadKey]:
        tracks = ((ran, self.tracks[ran.key]) for ran in changes.ran)
        woken = (
            Woken(ran, track.stays[Level.FUNCTION].cell.id, track.moved_at < self.looks - 1)
            for ran, track in tracks
        )
        return merely_stopped(
            woken,
            len(self.tracks) - len(changes.began) - len(changes.ran),
            was_held=self._was_held,
            is_held=changes.is_stopped,
        )

    def _count_runs(self, changes: Changes) -> None:
        stopped = self._merely_stopped(changes)
        # One that is seen twice, while it holds and when it is over, is one.
        self.stops += not self._was_held and (changes.is_stopped or bool(stopped))
        self._was_held = changes.is_stopped
        for moved in changes.ran:
            track = self.tracks[moved.key]
            track.cpu_ticks += moved.cpu_ticks
            if moved.key in stopped:
                continue
            track.moved_at = self.looks
            for stay in track.stays.values():
                # What it did on its way into the group is no sign of use.
                if stay.since_s == self.now_s:
                    continue
                stay.ran_looks += 1
                rest_s = self.now_s - (stay.since_s if stay.last_ran_s is None else stay.last_ran_s)
                stay.rests_s += rest_s
                stay.rests_s2 += rest_s * rest_s
                stay.last_ran_s = self.now_s

    def _note_sizes(self) -> None:
        for cell in self._touched.values():
            size = len(cell.members)
            cell.peak = max(cell.peak, size)
            if not cell.points or cell.points[-1].size != size:
                cell.points.append(Point(self.now_s, size))
                if len(cell.points) > MAX_POINTS:
                    cell.points[:] = thinned(cell.points)
            self._empty.pop(cell.id, None)
            if not size:
                self._empty[cell.id] = cell
        self._touched.clear()
        while len(self._empty) > MAX_EMPTY:
            gone = self._empty.pop(next(iter(self._empty)))
            del self._cells[gone.level][gone.id]

    def _facts(self, cell: Cell) -> GroupFacts:
        stays = tuple(
            self._stay(track, cell) for track in sorted(cell.members.values(), key=_seniority)
        )
        frames = _most_common(cell)
        return GroupFacts(
            id=cell.id,
            level=cell.level,
            frames=frames,
            first=cell.first,
            peak=cell.peak,
            arrived=cell.arrived,
            departed=cell.departed,
            born=cell.born,
            ended=cell.ended,
            points=tuple(cell.points),
            stays=stays,
            left=tuple(cell.left),
            began_s=self.began_s,
            # A stack that was not read since cannot have been left since: what is not known to be
            # over is judged as of when it was last known. Threads without a stack are seen to come.
            now_s=self.read_s if frames else self.now_s,
            looks=self.looks,
            counters_known=self.counters_known,
            process_began_s=self.process_began_s,
        )

    def _stay(self, track: Track, cell: Cell) -> Stay:
        stay = track.stays[cell.level]
        sample = track.sample
        track.count_to(self.looks)
        ran_now = stay.last_ran_s == self.now_s
        return Stay(
            key=sample.key,
            name=sample.name,
            began_s=track.began_s,
            born_s=sample.born_s,
            from_start=track.from_start,
            visits=stay.visits,
            looks=self.looks - stay.from_look,
            ran_looks=stay.ran_looks,
            mean_rest_s=stay.mean_rest_s,
            rest_spread_s=stay.rest_spread_s,
            last_ran_s=stay.last_ran_s,
            state=sample.state,
            running_share=track.looks_running / track.looks if track.looks else 0.0,
            waiting_share=track.looks_waiting / track.looks if track.looks else 0.0,
            cpu_ticks=track.cpu_ticks,
            wait=wait_of(sample, ran_now=ran_now),
            parking=sample.parking,
            frames=sample.frames,
        )


def wait_of(sample: ThreadSample, *, ran_now: bool = False) -> str | None:
    """What a thread waits for; None while it runs and where nothing tells.

    A futex is taken for a lock only of a thread that stood still: one that works under load is in
    futexes all the time, waiting for the interpreter's own lock.
    """
    if sample.state is RunState.RUNNING:
        return None
    by_frames = wait_by_frames(sample.frames)
    if by_frames:
        return by_frames
    by_kernel = wait_by_kernel(sample.parking)
    return None if ran_now and by_kernel == "lock" else by_kernel


def _count_birth(cell: Cell, track: Track, n: int) -> None:
    """Count a thread as one that was in this group when it was first seen; -1 takes it back."""
    if track.from_start:
        cell.first += n
    else:
        cell.arrived += n
        cell.born += n


def _seniority(track: Track) -> tuple[float, int, int]:
    """The order of threads in a group: the oldest first, and the same one for any order of dump."""
    key = track.sample.key
    return track.began_s, key.tid or 0, key.handle or 0


def thinned(points: list[Point]) -> list[Point]:
    """Every second one of the older half: what is recent keeps its detail."""
    half = len(points) // 2
    return points[:half:2] + points[half:]


def _most_common(cell: Cell) -> Frames:
    """The stack to show for a group: its commonest one, the same for equal counts."""
    if not cell.variants:
        return cell.frames
    best = max(cell.variants.values())
    return min(frames for frames, count in cell.variants.items() if count == best)
