"""Three rules that people use instead of leakscope, on the same recordings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from leakscope.engine import Engine
from leakscope.model import Changes, Frames, ThreadKey
from leakscope.sources.recording import Recording
from leakscope.stacks import Level, group_id

GROWTH = 5
LIKELIHOOD = 0.05
MANY = 20


@dataclass(slots=True)
class Course:
    """How a group's count went, look by look, and what it looks like."""

    counts: list[int]
    frames: Frames


@dataclass(slots=True)
class Told:
    """What a recording tells: each group's course, each thread's name and stack."""

    courses: dict[str, Course] = field(default_factory=dict)
    names: dict[int, set[str]] = field(default_factory=dict)  # by TID: names, `file:function`
    looks: int = 0


def told_by(path: str) -> Told:
    """Read a recording."""
    told = Told()
    engine = Engine()
    for look in Recording(path).looks():
        engine.observe(look)
        if not isinstance(look, Changes):
            continue
        told.looks += 1
        _count(told, engine)
        for thread in (*look.began, *look.changed):
            _name(told, thread.key, thread.name, thread.frames)
    return told


def _count(told: Told, engine: Engine) -> None:
    sizes: Counter[str] = Counter()
    for track in engine.history.tracks.values():
        frames = track.sample.frames
        id_ = group_id(frames, Level.FUNCTION)
        sizes[id_] += 1
        told.courses.setdefault(id_, Course([0] * (told.looks - 1), frames))
    for id_, course in told.courses.items():
        course.counts.append(sizes[id_])


def _name(told: Told, key: ThreadKey, name: str | None, frames: Frames) -> None:
    if key.tid is not None:
        known = told.names.setdefault(key.tid, set())
        known.add(name or "")
        known.update(f"{frame.filename}:{frame.function}" for frame in frames)


def grew_by_5(counts: Sequence[int]) -> bool:
    """At least five more at the end than at the beginning."""
    return counts[-1] - counts[0] >= GROWTH


def mann_kendall(counts: Sequence[int]) -> bool:
    """A rising trend that chance does not explain, and growth by five."""
    if len(counts) < 3 or not grew_by_5(counts):
        return False
    score = 0
    for at, earlier in enumerate(counts):
        score += sum((later > earlier) - (later < earlier) for later in counts[at + 1 :])
    n = len(counts)
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(counts).values())
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    if score <= 0 or not variance:
        return False
    p = math.erfc((score - 1) / math.sqrt(2 * variance)) / 2
    return p < LIKELIHOOD


def twenty_in_one_place(counts: Sequence[int]) -> bool:
    """Many threads where there were not so many at the beginning."""
    return counts[-1] >= MANY > counts[0]


RULES: dict[str, Callable[[Sequence[int]], bool]] = {
    "grew by 5": grew_by_5,
    "Mann-Kendall": mann_kendall,
    "20 in one place": twenty_in_one_place,
}


def alarms(rule: Callable[[Sequence[int]], bool], courses: Iterable[Course]) -> int:
    """How many groups a rule calls leaking."""
    return sum(rule(course.counts) for course in courses if course.counts)


def upper_bound(wrong: int, of: int, confidence: float = 0.95) -> float:
    """The rate of errors that `wrong` out of `of` still allow, at most: exact, by the binomial."""
    if wrong >= of:
        return 1.0
    low, high = wrong / of, 1.0
    for _ in range(60):
        rate = (low + high) / 2
        chance = sum(math.comb(of, k) * rate**k * (1 - rate) ** (of - k) for k in range(wrong + 1))
        low, high = (rate, high) if chance > 1 - confidence else (low, rate)
    return low
