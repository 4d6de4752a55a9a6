"""Words for what was found, the same in every format that people read. All of it is printable."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from leakscope.engine import CLEAN_AFTER_S, CLEAN_AFTER_SAMPLES
from leakscope.leaks import Cause, Culprit, Leak
from leakscope.model import Frame, RunState, Target
from leakscope.policy import LEAKS, Trend
from leakscope.printable import clipped, printable, short_path
from leakscope.report import EndedBy, Group, Known, Member, Overall, Report
from leakscope.spans import duration

TOP_PROCESSES = 3  # of a group
LONGEST_NAME = 60  # of a thread, or of a command within a sentence
LONGEST_COMMAND = 200
NOTEWORTHY = (*LEAKS, Trend.GROWING, Trend.WARMING)  # the worst first
ENDED = {
    EndedBy.DURATION: "ended by duration",
    EndedBy.COUNT: "ended by count",
    EndedBy.SIGNAL: "ended by signal",
    EndedBy.TARGET_EXITED: "ended because the target exited",
    EndedBy.EXEC: "ended because the target became another program (exec)",
    EndedBy.LEAK: "ended because of the leak",
    EndedBy.ONE_SAMPLE: "ended after one sample",
    EndedBy.RECORDING: "ended where the recording ends",
    EndedBy.NOT_YET: "it goes on",
}


# --- the verdict ----------------------------------------------------------------------------------


def verdict_sentence(report: Report) -> str:
    """The verdict of the process in one sentence."""
    say = {
        Overall.LEAKING: _leaking,
        Overall.GROWING: _growing,
        Overall.CLEAN: _clean,
        Overall.UNKNOWN: _unknown,
    }
    return say[report.verdict](report)


def _leaking(report: Report) -> str:
    rate = sum(leak.rate_per_min for leak in report.leaks)
    leaks = plural(len(report.leaks), "leak")
    return f"LEAKING: {leaks} in {_leaking_processes(report)}, {rate:.1f} threads a minute"


def _growing(report: Report) -> str:
    growing = len(growing_groups(report))
    if not growing and report.native_grown > 0:
        return (
            f"growing: {plural(report.native_grown, 'native thread')} more in "
            f"{_processes(report)} than at first; what they do cannot be seen"
        )
    which = plural(growing, "group") if growing else "some groups"
    grow = "grows" if growing == 1 else "grow"
    return f"growing: {which} of threads in {_processes(report)} {grow}; not proven to be a leak"


def _clean(report: Report) -> str:
    what = "no new leak" if report.known else "no leak"
    seen = f"clean: {what} in {duration(report.observed_s)} ({_counted(report)})"
    if report.noticeable_per_min is None:
        return seen
    slowest = f"{report.noticeable_per_min:.1f} threads a minute"
    return f"{seen}; a leak slower than {slowest} would not have shown"


def _unknown(report: Report) -> str:
    seen = _counted(report) if report.missed else plural(report.samples, "sample")
    if report.all_left_out:
        return f"unknown: nothing was judged, since every group was left out ({seen})"
    return (
        f"unknown: too little was seen to say ({seen} over {duration(report.observed_s)}; "
        f"{CLEAN_AFTER_S:g} s and {CLEAN_AFTER_SAMPLES} samples are needed)"
    )


# --- processes ------------------------------------------------------------------------------------


def process_line(target: Target, report: Report) -> str:
    """What process it is: `pid 4711, Python 3.11.7, up 6 h 10 min: python app.py`."""
    facts = [f"pid {target.pid}"]
    if target.python:
        facts.append(f"Python {printable(target.python)}")
    up_s = uptime_s(target, report)
    if up_s is not None:
        facts.append(f"up {duration(up_s)}")
    command = command_of(target, LONGEST_COMMAND)
    return ", ".join(facts) + (f": {command}" if command else "")


def uptime_s(target: Target, report: Report) -> float | None:
    """How long a process had been running at the last look."""
    if target.began_s is not None:
        return max(report.now_s - target.began_s, 0.0)
    return None if target.started_at is None else max(report.ended_at - target.started_at, 0.0)


def processes_line(report: Report) -> str:
    """Threads of each process that lives, in short: `threads by process: 4711: 1, 4713: 20`."""
    living = [m for m in report.several if m.ended_s is None]
    words = [
        f"{member.target.pid}: {member.threads or 0}"
        + (" leaking" if member.verdict is Overall.LEAKING else "")
        for member in sorted(living, key=lambda m: m.verdict is not Overall.LEAKING)
    ]
    return f"threads by process: {', '.join(words)}"


PROCESS_HEADINGS = ("process", "threads", "verdict", "up", "command")


def leaking_first(report: Report) -> list[Member]:
    """Several processes: those that leak or live before those that ended."""
    return sorted(report.several, key=lambda m: (m.verdict is not Overall.LEAKING, m.ended_s or 0))


def process_row(member: Member, report: Report) -> tuple[str, ...]:
    """What one of several processes came to, below PROCESS_HEADINGS."""
    ended_s = member.ended_s
    up_s = uptime_s(member.target, report) if ended_s is None else None
    return (
        str(member.target.pid),
        "-" if member.threads is None else str(member.threads),
        member.verdict.value + ("" if ended_s is None else ", ended"),
        "-" if up_s is None else duration(up_s),
        command_of(member.target, LONGEST_COMMAND),
    )


def _processes(report: Report) -> str:
    if len(report.targets) != 1:
        return f"{len(report.targets)} processes" if report.targets else "the process"
    return _process(report.targets[0])


def _process(target: Target) -> str:
    command = command_of(target, LONGEST_NAME)
    return f"process {target.pid} ({command})" if command else f"process {target.pid}"


def _leaking_processes(report: Report) -> str:
    """The processes that leak; of several, out of how many."""
    if not report.several:
        return _processes(report)
    pids = {str(pid): None for leak in report.leaks for pid in leak.by_process}
    return f"{len(pids)} of {len(report.several)} processes ({some(list(pids), TOP_PROCESSES)})"


def command_of(target: Target, length: int) -> str:
    """A command line, of this length at most."""
    return clipped(printable(" ".join(target.command)), length).strip()


def in_processes(counts: Mapping[int, int]) -> str:
    """Where the threads of a group are, those with most first: `4712: 9, 4713: 3 and 2 more`."""
    return some([f"{pid}: {count}" for pid, count in counts.items()], TOP_PROCESSES)


# --- groups and leaks -----------------------------------------------------------------------------


def by_suspicion(report: Report) -> list[Group]:
    """The groups that have threads now, those of leaks first, then what grows, then by size."""
    named = leak_numbers(report)

    def rank(group: Group) -> int:
        if group.id in named or group.verdict.trend in LEAKS:
            return 0
        trend = group.verdict.trend
        return NOTEWORTHY.index(trend) if trend in NOTEWORTHY else len(NOTEWORTHY)

    living = [group for group in report.groups if group.size]
    return sorted(living, key=lambda group: (rank(group), -group.size, group.id))


def growing_groups(report: Report) -> list[Group]:
    """The groups that grow, the most suspicious first; without those that a baseline knows."""
    return [
        group
        for group in by_suspicion(report)
        if group.verdict.trend is Trend.GROWING and not report.knows(group.id)
    ]


def known_line(known: Known) -> str:
    """What a baseline knows already: `known  42 threads  +12.0/min  [lock]  app/jobs.py:41 run`."""
    return (
        f"known: {plural(known.size, 'thread')}  {known.rate_per_min:+.1f}/min  "
        f"[{known.wait or '-'}]  {place(known.site)}"
    )


def verdict_words(report: Report) -> dict[str, str]:
    """The verdict of each group by its id; one that only leaks along with others is `of leak 1`."""
    named = leak_numbers(report)
    return {
        group.id: _verdict_word(group, named, is_known=report.knows(group.id))
        for group in report.groups
    }


def _verdict_word(group: Group, named: Mapping[str, int], *, is_known: bool) -> str:
    if group.id in named and group.verdict.trend not in LEAKS:
        return f"of leak {named[group.id]}"
    return "known" if is_known and group.id not in named else group.verdict.trend.value


def leak_numbers(report: Report) -> dict[str, int]:
    """The number of the first leak that names a group, by the group's id."""
    numbered = list(enumerate(report.leaks, 1))
    return {id_: number for number, leak in reversed(numbered) for id_ in leak.groups}


class Diagnosis(NamedTuple):
    """What is wrong, and what to do about it."""

    word: str  # `known`: it is a library's, and was reported; or `why`
    why: str
    cure: str


def diagnosis(culprit: Culprit | None, cause: Cause | None) -> Diagnosis | None:
    """That of a leak; a library that is known to leak so says more than any guess."""
    if culprit:
        known = f"{culprit.library}: {culprit.what} ({culprit.source})"
        return Diagnosis("known", printable(known), printable(culprit.cure))
    return Diagnosis("why", printable(cause.why), printable(cause.cure)) if cause else None


def names_of(leak: Leak, report: Report) -> list[str]:
    """The names of the threads that leaked, of those that have one."""
    leaked = set(leak.leaked)
    # A dict, because a thread is in a group of each level that is reported.
    named = {
        stay.key: stay.name for group in report.groups for stay in group.stays if stay.key in leaked
    }
    return [printable(name) for name in named.values() if name]


def place(site: Frame | None) -> str:
    """A frame in short: `app/jobs.py:41 consume`."""
    if site is None:
        return "stack not read"
    path = printable(short_path(site.filename))
    return f"{_with_line(path, site.line)} {printable(site.function)}".strip()


def location(frame: Frame) -> str:
    """Where a frame is, whole: `/srv/app/jobs.py:41`."""
    return _with_line(printable(frame.filename), frame.line)


def whole_place(site: Frame | None) -> str:
    """A frame with all of its path: `/srv/app/jobs.py:41 consume`."""
    return place(None) if site is None else f"{location(site)} {printable(site.function)}".strip()


def _with_line(path: str, line: int) -> str:
    return f"{path}:{line}" if line > 0 else path


def doing_of(group: Group) -> str:
    """What the threads of a group do: `queue.get, 2 running`."""
    return _doing(group.wait, group.blocked, group.running, group.unknown)


def doing_of_leak(leak: Leak, report: Report) -> str:
    """What the threads of a leak do."""
    leaked = set(leak.leaked)
    # A dict, because a thread is in a group of each level that is reported.
    seen = {s.key: s.state for group in report.groups for s in group.stays if s.key in leaked}
    states: list[RunState] = [
        RunState.UNKNOWN if state is RunState.RAN else state for state in seen.values()
    ]
    return _doing(leak.wait, *(states.count(state) for state in _STATES))


_STATES = (RunState.BLOCKED, RunState.RUNNING, RunState.UNKNOWN)  # RAN is unknown as well


def _doing(wait: str | None, blocked: int, running: int, unknown: int) -> str:
    counts = dict(zip(_STATES, (blocked, running, unknown), strict=True))
    present = [state for state in _STATES if counts[state]]
    if wait:
        # The frames have told what the state could not.
        return f"{wait}, {running} running" if running else wait
    if not present:
        return "-"
    return ", ".join([present[0].value, *(f"{counts[s]} {s.value}" for s in present[1:])])


def change(group: Group) -> str:
    """By how much a group has grown since it was first looked at: `+12`, `-3`, `0`."""
    return signed(group.size - group.first)


def signed(number: int) -> str:
    """`+12`, `-3`, `0`."""
    return f"{number:+d}" if number else "0"


# --- the watch, and numbers -----------------------------------------------------------------------


def how_it_was_watched(report: Report) -> str:
    """For how long, how often, at what cost, and why no longer."""
    apart = f" ({report.interval_s:g} s apart)" if report.interval_s else ""
    return (
        f"watched {_exactly(report.observed_s)}, {plural(report.samples, 'sample')}{apart}, "
        f"{report.missed} missed, {_dumps(report)}; {ENDED[report.ended_by]}"
    )


def _dumps(report: Report) -> str:
    """How often stacks were read, and what it took: `4 dumps, 1.2 s of CPU`."""
    cost = report.cost
    if cost is None:
        return plural(report.tries, "dump")
    cpu_s = cost.own_cpu_s + cost.dumps_cpu_s
    said = f"{plural(cost.dumps, 'dump')}, {cpu_s:.1f} s of CPU"
    if cost.longest_pause_s:
        said += f", the target stopped for up to {1000 * cost.longest_pause_s:.0f} ms"
    return said


def _counted(report: Report) -> str:
    return f"{plural(report.samples, 'sample')}, {report.missed} missed"


def cost_sentence(report: Report) -> str:
    """What each thread that leaked took; empty where that is not known."""
    cost = report.thread_cost
    if not report.leaks or cost is None or cost.memory_bytes is None:
        return ""
    # Less than one for each of ten threads is what else the process did meanwhile.
    some_held = (cost.descriptors or 0) >= 0.1
    held = f" and {cost.descriptors:.1f} descriptors" if some_held else ""
    return f"each new thread took {cost.memory_bytes / 1024:.0f} KiB{held}"


def command_line(words: Sequence[str]) -> str:
    """A command as it would be typed."""
    return printable(shlex.join(words))


def plural(number: int, noun: str) -> str:
    """`1 leak`, `2 leaks`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def some(items: Sequence[str], most: int) -> str:
    """The first of them, and how many more there are."""
    more = len(items) - most
    return ", ".join(items[:most]) + (f" and {more} more" if more > 0 else "")


def _exactly(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else duration(seconds)
