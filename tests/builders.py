"""Short ways to make values: each argument has a default that does for most tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from leakscope.facts import Point, Stay, common_wait
from leakscope.leaks import Cause, Leak
from leakscope.model import NOT_KNOWN, Frame, Frames, RunState, Target, ThreadKey
from leakscope.policy import Trend, Verdict
from leakscope.report import EndedBy, Group, Kind, Known, Overall, Report
from leakscope.stacks import Level, entry, group_id, site

PID = 4711
LIB = "/usr/lib/python3.11"
JOBS = "/srv/app/jobs.py"


def frame(function: str = "consume", filename: str = JOBS, line: int = 41) -> Frame:
    """A frame; of the user's own code unless said otherwise."""
    return Frame(function, filename, line)


def started(*inner: Frame) -> Frames:
    """A stack of these frames, innermost first, in a thread of threading's."""
    return (
        *(inner or (frame(),)),
        frame("Thread.run", f"{LIB}/threading.py", 982),
        frame("Thread._bootstrap_inner", f"{LIB}/threading.py", 1045),
        frame("Thread._bootstrap", f"{LIB}/threading.py", 1002),
    )


def getting(inner: Frame | None = None) -> Frames:
    """A stack that waits in Queue.get, called from this frame."""
    return started(
        frame("Condition.wait", f"{LIB}/threading.py", 327),
        frame("Queue.get", f"{LIB}/queue.py", 171),
        inner or frame(),
    )


def key(number: int, pid: int = PID) -> ThreadKey:
    """What names the thread with this number."""
    return ThreadKey(pid, pid + number, 100 * number)


def stay(number: int = 1, **fields: Any) -> Stay:
    """A thread in a group: blocked in Queue.get since the first second."""
    given: dict[str, Any] = {
        "key": key(number),
        "name": f"Thread-{number} (consume)",
        "began_s": 1.0,
        "born_s": None,
        "from_start": False,
        "visits": 1,
        "looks": 1,
        "ran_looks": 0,
        "mean_rest_s": 0.0,
        "rest_spread_s": 0.0,
        "last_ran_s": None,
        "state": RunState.BLOCKED,
        "running_share": 0.0,
        "waiting_share": 1.0,
        "cpu_ticks": 0,
        "wait": "queue.get",
        "parking": NOT_KNOWN,
        "frames": getting(),
    }
    return Stay(**(given | fields))


def stays(size: int, *, first: int = 1, **fields: Any) -> tuple[Stay, ...]:
    """Threads in a group, numbered from `first` on."""
    return tuple(stay(number, **fields) for number in range(first, first + size))


def points(*sizes: int, interval_s: float = 1.0) -> tuple[Point, ...]:
    """A size each interval, the first at 0."""
    return tuple(Point(i * interval_s, size) for i, size in enumerate(sizes))


def group(
    size: int = 3,
    frames: Frames | None = None,
    trend: Trend = Trend.STEADY,
    *,
    members: Iterable[Stay] | None = None,
    **fields: Any,
) -> Group:
    """A group of threads that wait in Queue.get, or of these members; constant unless said."""
    frames = getting() if frames is None else frames
    inside = stays(size, frames=frames) if members is None else tuple(members)
    level = fields.get("level", Level.FUNCTION)
    states = [member.state for member in inside]
    given: dict[str, Any] = {
        "id": group_id(frames, level),
        "level": level,
        "verdict": Verdict(trend),
        "frames": frames,
        "site": site(frames),
        "entry": entry(frames),
        "wait": common_wait(inside),
        "blocked": states.count(RunState.BLOCKED),
        "running": states.count(RunState.RUNNING),
        "unknown": states.count(RunState.UNKNOWN),
        "first": len(inside),
        "peak": max(len(inside), fields.get("first", 0)),
        "arrived": 0,
        "departed": 0,
        "born": 0,
        "ended": 0,
        "points": points(fields.get("first", len(inside)), len(inside)),
        "stays": inside,
    }
    return Group(**(given | fields))


def leak(main: Group, *others: Group, **fields: Any) -> Leak:
    """A leak of all threads of these groups."""
    every = (main, *others)
    given: dict[str, Any] = {
        "id": main.id,
        "trend": Trend.LEAKING,
        "groups": tuple(group.id for group in every),
        "leaked": tuple(stay.key for group in every for stay in group.stays),
        "rate_per_min": 61.0,
        "rate_basis": "watched",
        "wait": main.wait,
        "frames": main.frames,
        "evidence": ("Not one thread of this stack has ended.",),
    }
    return Leak(**(given | fields))


def target(**fields: Any) -> Target:
    """The process that is looked at: up for an hour when the watch began."""
    given: dict[str, Any] = {
        "pid": PID,
        "started_at": None,
        "command": ("python", "app.py"),
        "python": "3.11.7",
        "began_s": -3600.0,
    }
    return Target(**(given | fields))


def report(*groups: Group, **fields: Any) -> Report:
    """A report of a watch of one minute; leaking if it has leaks, else clean."""
    threads = sum(group.size for group in groups)
    given: dict[str, Any] = {
        "kind": Kind.SUMMARY,
        "targets": (target(),),
        "began_at": 1_700_000_000.0,
        "ended_at": 1_700_000_060.0,
        "ended_by": EndedBy.DURATION,
        "observed_s": 60.0,
        "interval_s": 1.0,
        "samples": 60,
        "missed": 0,
        "tries": 61,
        "threads": threads,
        "os_threads": threads,
        "level": Level.FUNCTION,
        "verdict": Overall.LEAKING if fields.get("leaks") else Overall.CLEAN,
        "noticeable_per_min": 8.0,
        "not_seen": (),
        "leaks": (),
        "groups": groups,
        "total_points": points(threads, threads),
        "now_s": 60.0,
    }
    return Report(**(given | fields))


def nothing(**fields: Any) -> Report:
    """A report of a watch that saw not one sample."""
    given: dict[str, Any] = {
        "targets": (),
        "observed_s": 0.0,
        "interval_s": None,
        "samples": 0,
        "tries": 0,
        "threads": None,
        "os_threads": None,
        "verdict": Overall.UNKNOWN,
        "noticeable_per_min": None,
        "total_points": (),
        "now_s": 0.0,
    }
    return report(**(given | fields))


# The watch that the golden outputs show: a leak, a pool that warms up, and loops.
LEAKING = group(
    187, getting(), Trend.LEAKING, id="3f9c1a2b77e0", first=1, points=points(1, 64, 187)
)
LOOPS = group(
    id="77aa00000001",
    frames=started(frame("spin", "/srv/app/loops.py", 7)),
    members=[
        *stays(2, first=300, state=RunState.RUNNING, wait=None),
        stay(400, wait=None),
    ],
)
POOL = group(
    id="0123456789ab",
    frames=started(frame("_worker", f"{LIB}/concurrent/futures/thread.py", 81)),
    members=stays(8, first=500, wait="executor idle"),
    trend=Trend.WARMING,
    first=1,
)
THE_LEAK = leak(
    LEAKING, evidence=("187 threads came here.", "Not one thread of this stack has ended.")
)
WATCH = report(
    LEAKING,
    POOL,
    LOOPS,
    leaks=(THE_LEAK,),
    not_seen=("native threads: 2 of the 200 threads that the kernel counts are not Python's",),
)

HOSTILE = "\x1b[31m[red]\n\u202eevil\ud800"


def known(where: Frame | None, why: str) -> Known:
    """Something that a baseline had: forty threads, and no faster now."""
    return Known(
        "feedfacefeed", ("feedfacefeed",), Trend.LEAKING, 40, 61.0, 40, 60.0, 38,
        1_700_000_000.0, "queue.get", where, why, (why,), Cause("x", False, why, why),
    )  # fmt: skip


def hostile_report(text: str) -> Report:
    """A report with this text wherever the target has a say."""
    frames = started(frame(text, f"/srv/{text}/{text}.py"))
    members = [stay(1, name=text, frames=frames)]
    evil = group(members=members, frames=frames, verdict=Verdict(Trend.LEAKING, (text,)))
    return report(
        evil,
        targets=(target(command=(text, text), python=text),),
        leaks=(leak(evil, evidence=(text,), leaked=(key(1),)),),
        known=(known(evil.site, text),),
        not_seen=(text,),
    )


def suspect(number: int, size: int = 9) -> Report:
    """A report with one leak, in a function of that number."""
    found = group(size, started(frame(f"consume_{number}")), Trend.LEAKING)
    return report(found, leaks=(leak(found),))
