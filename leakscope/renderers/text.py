"""A report as lines of plain text, for people, logs and pipes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from leakscope.engine import CLEAN_AFTER_S, CLEAN_AFTER_SAMPLES
from leakscope.leaks import Leak
from leakscope.limits import deadline_sentence
from leakscope.model import Frame, Frames, RunState, Target
from leakscope.policy import LEAKS, Trend
from leakscope.printable import cell_width, clipped, printable, short_path
from leakscope.report import EndedBy, Group, Member, Overall, Report
from leakscope.spans import duration
from leakscope.stacks import real_frames

if TYPE_CHECKING:
    from leakscope.processes import ProcessFacts

TOP_GROUPS = 15
TOP_IDS = 10
TOP_GROWING = 5
SAMPLE_NAMES = 3
TOP_PROCESSES = 3  # of a group
TOP_MEMBERS = 20
LONGEST_NAME = 60  # of a thread, or of a command within a sentence
LONGEST_COMMAND = 200
WIDEST_FUNCTION = 48  # a longer one does not push the paths of the others away

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
}


# --- a dump ---------------------------------------------------------------------------------------


def dump_lines(report: Report) -> Iterator[str]:
    """All stacks of one look, like Go's goroutine profile: equal ones once, the commonest first."""
    yield f"thread profile: {_total(report)}"
    for member in report.members:
        yield process_line(member.target, report) + _threads_of(member, report)
    shown = [group for group in report.groups if group.level is report.level and group.size]
    for group in sorted(shown, key=lambda group: (-group.size, group.id)):
        yield ""
        yield _dump_header(group)
        if report.several:
            yield f"  in {in_processes(group.by_process)}"
        if group.verdict.trend in NOTEWORTHY:
            yield from (f"  {printable(sentence)}" for sentence in group.verdict.evidence)
        yield from stack_lines(group.frames)
    if report.not_seen:
        yield ""
        yield from _not_seen_lines(report)


def _threads_of(member: Member, report: Report) -> str:
    return f" ({plural(member.threads or 0, 'thread')})" if report.several else ""


def _total(report: Report) -> str:
    return "no sample" if report.threads is None else f"total {report.threads}"


def _dump_header(group: Group) -> str:
    trend = group.verdict.trend
    word = f"  {trend.value.upper()}" if trend in NOTEWORTHY else ""
    return f"{group.size} @ {group.id}  [{doing_of(group)}]  {place(group.site)}{word}"


def stack_lines(frames: Frames) -> Iterator[str]:
    """The frames, innermost first; functions in a column."""
    rows = [(printable(frame.function), _location(frame)) for frame in real_frames(frames)]
    if not rows:
        yield "#   stack not read"
    width = min(max((cell_width(function) for function, _ in rows), default=0), WIDEST_FUNCTION)
    for function, location in rows:
        yield f"#   {_left(function, width)}   {location}".rstrip()


def _not_seen_lines(report: Report) -> Iterator[str]:
    return (f"not seen: {printable(line)}" for line in report.not_seen)


# --- the report of a watch ------------------------------------------------------------------------


def report_lines(report: Report) -> Iterator[str]:
    """What a watch found: the verdict, the leaks and why, the groups, what was not seen."""
    yield verdict_sentence(report)
    yield ""
    for number, leak in enumerate(report.leaks, 1):
        yield from _leak_lines(number, leak, report)
        yield ""
    yield from _growing_lines(report)
    yield from _deadline_lines(report)
    if report.groups:
        yield from _group_lines(report)
        yield ""
    yield from _member_lines(report)
    yield from _not_seen_lines(report)
    yield _closing_line(report)


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
    growing = sum(group.verdict.trend is Trend.GROWING for group in report.groups)
    if not growing and report.native_grown > 0:
        return (
            f"growing: {plural(report.native_grown, 'native thread')} more in "
            f"{_processes(report)} than at first; what they do cannot be seen"
        )
    which = plural(growing, "group") if growing else "some groups"
    grow = "grows" if growing == 1 else "grow"
    return f"growing: {which} of threads in {_processes(report)} {grow}; not proven to be a leak"


def _clean(report: Report) -> str:
    seen = f"clean: no leak in {duration(report.observed_s)} ({_counted(report)})"
    if report.noticeable_per_min is None:
        return seen
    slowest = f"{report.noticeable_per_min:.1f} threads a minute"
    return f"{seen}; a leak slower than {slowest} would not have shown"


def _unknown(report: Report) -> str:
    seen = _counted(report) if report.missed else plural(report.samples, "sample")
    return (
        f"unknown: too little was seen to say ({seen} over {duration(report.observed_s)}; "
        f"{CLEAN_AFTER_S:g} s and {CLEAN_AFTER_SAMPLES} samples are needed)"
    )


def _leak_lines(number: int, leak: Leak, report: Report) -> Iterator[str]:
    yield (
        f"LEAK {number}  {plural(len(leak.leaked), 'thread')}  +{leak.rate_per_min:.1f}/min"
        f"  [{doing_of_leak(leak, report)}]  {place(leak.site)}"
    )
    yield from _diagnosis_lines(leak)
    for sentence in leak.evidence:
        yield f"  {printable(sentence)}"
    if leak.site:
        yield f"  at          {_location(leak.site)} {printable(leak.site.function)}"
    if leak.entry:
        yield f"  started in  {_location(leak.entry)} {printable(leak.entry.function)}"
    for line in stack_lines(leak.frames):
        yield f"  {line}"
    yield f"  {'groups' if len(leak.groups) > 1 else 'group '}      {_some(leak.groups, TOP_IDS)}"
    names = [printable(name) for name in _names(leak, report)]
    if names:
        shown = [clipped(name, LONGEST_NAME) for name in names[:SAMPLE_NAMES]]
        yield f"  threads     {_some([*shown, *names[SAMPLE_NAMES:]], SAMPLE_NAMES)}"


def _diagnosis_lines(leak: Leak) -> Iterator[str]:
    if leak.culprit:
        known = f"{leak.culprit.library}: {leak.culprit.what} ({leak.culprit.source})"
        yield f"  known       {printable(known)}"
        yield f"  cure        {printable(leak.culprit.cure)}"
    elif leak.cause:
        yield f"  why         {printable(leak.cause.why)}"
        yield f"  cure        {printable(leak.cause.cure)}"


def _growing_lines(report: Report) -> Iterator[str]:
    """Why groups are held to grow, and what would tell more."""
    growing = [group for group in by_suspicion(report) if group.verdict.trend is Trend.GROWING]
    for group in growing[:TOP_GROWING]:
        yield f"growing: {plural(group.size, 'thread')}  [{doing_of(group)}]  {place(group.site)}"
        yield from (f"  {printable(sentence)}" for sentence in group.verdict.evidence)
    if growing:
        yield ""


def _deadline_lines(report: Report) -> Iterator[str]:
    """When the leaks will hurt, and what they cost."""
    cost = report.thread_cost
    if report.deadline:
        yield f"deadline: {printable(deadline_sentence(report.deadline))}"
    if report.leaks and cost and cost.memory_bytes is not None:
        # Less than one for each of ten threads is what else the process did meanwhile.
        some = (cost.descriptors or 0) >= 0.1
        held = f" and {cost.descriptors:.1f} descriptors" if some else ""
        yield f"each new thread took {cost.memory_bytes / 1024:.0f} KiB{held}"
    if report.deadline or (report.leaks and cost and cost.memory_bytes is not None):
        yield ""


def _names(leak: Leak, report: Report) -> list[str]:
    leaked = set(leak.leaked)
    # A dict, because a thread is in a group of each level that is reported.
    named = {
        stay.key: stay.name for group in report.groups for stay in group.stays if stay.key in leaked
    }
    return [name for name in named.values() if name]


def _some(items: Sequence[str], most: int) -> str:
    more = len(items) - most
    return ", ".join(items[:most]) + (f" and {more} more" if more > 0 else "")


def _closing_line(report: Report) -> str:
    apart = f" ({report.interval_s:g} s apart)" if report.interval_s else ""
    return (
        f"watched {_exactly(report.observed_s)}, {plural(report.samples, 'sample')}{apart}, "
        f"{report.missed} missed, {_dumps(report)}; {ENDED[report.ended_by]}"
    )


def _dumps(report: Report) -> str:
    """How often stacks were read, and what it took: `4 dumps, 1.2 s of CPU (1.9 % of a core)`."""
    cost = report.cost
    if cost is None:
        return plural(report.tries, "dump")
    cpu_s = cost.own_cpu_s + cost.dumps_cpu_s
    said = f"{plural(cost.dumps, 'dump')}, {cpu_s:.1f} s of CPU"
    if cost.longest_pause_s:
        said += f", the target stopped for up to {1000 * cost.longest_pause_s:.0f} ms"
    return said


# --- the table of groups --------------------------------------------------------------------------

_HEADINGS = ("count", "change", "peak", "verdict", "wait", "id", "where")


def _group_lines(report: Report) -> Iterator[str]:
    shown = _without_rest(by_suspicion(report), report)
    words = verdict_words(report)
    rows = [_HEADINGS, *(_row(group, words) for group in shown)]
    if report.several:
        where = ["processes", *(in_processes(group.by_process) for group in shown)]
        rows = [(*row[:-1], pids, row[-1]) for row, pids in zip(rows, where, strict=True)]
    yield from _table(rows, numbers=(0, 1, 2))
    cut = len(by_suspicion(report)) - len(shown)
    if cut:
        yield f"and {plural(cut, 'smaller group')}"


def in_processes(counts: Mapping[int, int]) -> str:
    """Where the threads of a group are, those with most first: `4712: 9, 4713: 3 and 2 more`."""
    return _some([f"{pid}: {count}" for pid, count in counts.items()], TOP_PROCESSES)


def _table(rows: Sequence[tuple[str, ...]], numbers: Sequence[int]) -> Iterator[str]:
    """Rows in columns; the numbers of the columns that hold numbers."""
    widths = [max(map(cell_width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, strict=True)
        aligned = [
            _right(cell, width) if i in numbers else _left(cell, width)
            for i, (cell, width) in enumerate(cells)
        ]
        yield "  ".join(aligned).rstrip()


def _row(group: Group, words: Mapping[str, str]) -> tuple[str, ...]:
    return (
        str(group.size),
        change(group),
        str(group.peak),
        words[group.id],
        doing_of(group),
        group.id,
        place(group.site),
    )


# --- several processes ----------------------------------------------------------------------------

_OF_PROCESSES = ("process", "threads", "verdict", "up", "command")


def _member_lines(report: Report) -> Iterator[str]:
    """The processes, where there are several: those that leak or live before those that ended."""
    if not report.several:
        return
    ordered = sorted(
        report.several, key=lambda m: (m.verdict is not Overall.LEAKING, m.ended_s or 0)
    )
    shown = ordered[:TOP_MEMBERS]
    rows = [_member_row(member, report) for member in shown]
    yield from _table([_OF_PROCESSES, *rows], numbers=(0, 1))
    if len(ordered) > len(shown):
        yield f"and {len(ordered) - len(shown)} more"
    yield ""


def processes_line(report: Report) -> str:
    """Threads of each process that lives, in short: `threads by process: 4711: 1, 4713: 20`."""
    living = [m for m in report.several if m.ended_s is None]
    words = [
        f"{member.target.pid}: {member.threads or 0}"
        + (" leaking" if member.verdict is Overall.LEAKING else "")
        for member in sorted(living, key=lambda m: m.verdict is not Overall.LEAKING)
    ]
    return f"threads by process: {', '.join(words)}"


def _member_row(member: Member, report: Report) -> tuple[str, ...]:
    ended_s = member.ended_s
    up_s = uptime_s(member.target, report) if ended_s is None else None
    over = "" if ended_s is None else ", ended"
    return (
        str(member.target.pid),
        "-" if member.threads is None else str(member.threads),
        member.verdict.value + over,
        "-" if up_s is None else duration(up_s),
        _command(member.target, LONGEST_COMMAND),
    )


def _without_rest(groups: Sequence[Group], report: Report) -> list[Group]:
    """The first of the groups, and those that a leak names wherever they stand."""
    named = _leak_numbers(report)
    return [group for i, group in enumerate(groups) if i < TOP_GROUPS or group.id in named]


def by_suspicion(report: Report) -> list[Group]:
    """The groups that have threads now, those of leaks first, then what grows, then by size."""
    named = _leak_numbers(report)

    def rank(group: Group) -> int:
        if group.id in named or group.verdict.trend in LEAKS:
            return 0
        trend = group.verdict.trend
        return NOTEWORTHY.index(trend) if trend in NOTEWORTHY else len(NOTEWORTHY)

    living = [group for group in report.groups if group.size]
    return sorted(living, key=lambda group: (rank(group), -group.size, group.id))


def verdict_words(report: Report) -> dict[str, str]:
    """The verdict of each group by its id; one that only leaks along with others is `of leak 1`."""
    named = _leak_numbers(report)
    return {
        group.id: f"of leak {named[group.id]}"
        if group.id in named and group.verdict.trend not in LEAKS
        else group.verdict.trend.value
        for group in report.groups
    }


def _leak_numbers(report: Report) -> dict[str, int]:
    numbered = list(enumerate(report.leaks, 1))
    return {id_: number for number, leak in reversed(numbered) for id_ in leak.groups}


# --- a change, while the watch goes on ------------------------------------------------------------


def change_line(report_time_s: float, group: Group, old: Trend | None, new: Trend) -> str:
    """One line for a group whose verdict has changed; a group that is new has None before."""
    before = old.value if old else "new"
    return (
        f"{report_time_s:6.1f} s  {group.id}  {before} -> {new.value}  "
        f"{plural(group.size, 'thread')}  [{doing_of(group)}]  {place(group.site)}"
    )


# --- a list of processes --------------------------------------------------------------------------


def process_lines(processes: Iterable[ProcessFacts]) -> Iterator[str]:
    """The processes as a table, in the order that they come in."""
    headings = ("pid", "python", "threads", "age", "user", "command")
    return _table([headings, *map(_process_row, processes)], numbers=(0, 2))


def _process_row(process: ProcessFacts) -> tuple[str, ...]:
    return (
        str(process.pid),
        printable(process.python or "?"),
        "?" if process.threads is None else str(process.threads),
        "?" if process.age_s is None else duration(process.age_s),
        printable(process.user or "?"),
        clipped(printable(" ".join(process.command)), LONGEST_COMMAND),
    )


# --- words ----------------------------------------------------------------------------------------


def place(site: Frame | None) -> str:
    """A frame in short: `app/jobs.py:41 consume`."""
    if site is None:
        return "stack not read"
    path = printable(short_path(site.filename))
    return f"{_with_line(path, site.line)} {printable(site.function)}".strip()


def _location(frame: Frame) -> str:
    return _with_line(printable(frame.filename), frame.line)


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
    grown = group.size - group.first
    return f"{grown:+d}" if grown else "0"


def process_line(target: Target, report: Report) -> str:
    """What process it is: `pid 4711, Python 3.11.7, up 6 h 10 min: python app.py`."""
    facts = [f"pid {target.pid}"]
    if target.python:
        facts.append(f"Python {printable(target.python)}")
    up_s = uptime_s(target, report)
    if up_s is not None:
        facts.append(f"up {duration(up_s)}")
    command = _command(target, LONGEST_COMMAND)
    return ", ".join(facts) + (f": {command}" if command else "")


def uptime_s(target: Target, report: Report) -> float | None:
    """How long a process had been running at the last look."""
    if target.began_s is not None:
        return max(report.now_s - target.began_s, 0.0)
    return None if target.started_at is None else max(report.ended_at - target.started_at, 0.0)


def _processes(report: Report) -> str:
    if len(report.targets) != 1:
        return f"{len(report.targets)} processes" if report.targets else "the process"
    return _process(report.targets[0])


def _process(target: Target) -> str:
    command = _command(target, LONGEST_NAME)
    return f"process {target.pid} ({command})" if command else f"process {target.pid}"


def _leaking_processes(report: Report) -> str:
    """The processes that leak; of several, out of how many."""
    if not report.several:
        return _processes(report)
    pids = {str(pid): None for leak in report.leaks for pid in leak.by_process}
    return f"{len(pids)} of {len(report.several)} processes ({_some(list(pids), TOP_PROCESSES)})"


def _command(target: Target, length: int) -> str:
    return clipped(printable(" ".join(target.command)), length).strip()


def _counted(report: Report) -> str:
    return f"{plural(report.samples, 'sample')}, {report.missed} missed"


def plural(number: int, noun: str) -> str:
    """`1 leak`, `2 leaks`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _exactly(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else duration(seconds)


def _left(text: str, width: int) -> str:
    return text + " " * (width - cell_width(text))


def _right(text: str, width: int) -> str:
    return " " * (width - cell_width(text)) + text
