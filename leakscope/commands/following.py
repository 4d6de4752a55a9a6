"""What a watch shows while it goes on, and at its end: one way for each format."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from leakscope.commands.looking import Watched
from leakscope.commands.printing import OF_REPORTS, print_lines, renderer, wants_color
from leakscope.errors import LeakscopeError, UsageProblem
from leakscope.output import ClosedPipe, Output, say
from leakscope.policy import Trend
from leakscope.report import Report
from leakscope.sources.stopping import Stop, ended_by_signals, stopped_by_signals

if TYPE_CHECKING:
    from leakscope.commands.live import LiveView


class Follower(Protocol):
    """Is told of each round, and of the end."""

    def sample(self, watched: Watched) -> None:
        """A round came in: of each process a sample, or that it was missed."""

    def finish(self, report: Report) -> None:
        """The watch is over: write what is left to write, and close."""


@runtime_checkable
class Starting(Protocol):
    """A follower that is at work before the first round as well."""

    def start(self) -> None:
        """The watch begins; no program will be started by a fork any more."""


@runtime_checkable
class Failing(Protocol):
    """A follower that tells as well why there is no report."""

    def fail(self, why: str) -> None:
        """There will be none; it may have been told of one all the same, and is not to mind."""


@runtime_checkable
class Lingering(Protocol):
    """A follower whose work may go on when all has been written."""

    def linger(self) -> None:
        """Wait until it is done; a signal may end that."""


def linger(followers: Iterable[Follower]) -> None:
    """Wait for those that are not done when all has been written, unless a signal ends that."""
    with ended_by_signals():
        for each in followers:
            if isinstance(each, Lingering):
                each.linger()


def output_of(path: str, format_: str, *, quiet: bool, to_stderr: bool = False) -> Output:
    """Where a watch is shown. A file grows with it, unless it will hold nothing but the report."""
    return Output(path, grows=format_ != "text" or not quiet, to_stderr=to_stderr)


class Together:
    """All that follows a watch: one that fails is told nothing more, and the others go on."""

    def __init__(self, followers: Iterable[Follower], *, is_needed: bool) -> None:
        """`is_needed`: the watch is, though the first to fail be all that shows it."""
        self._left = list(followers)
        self._is_needed = is_needed
        self._first: LeakscopeError | ClosedPipe | None = None

    def sample(self, watched: Watched) -> None:
        """A round came in. Raises what goes wrong where nothing is left to watch for."""
        for each in tuple(self._left):
            try:
                each.sample(watched)
            except (LeakscopeError, ClosedPipe) as problem:
                if not self._is_needed:
                    raise
                if isinstance(problem, ClosedPipe):
                    say("whoever read the report has gone; the watch goes on")
                self._lose(each, problem, "; the watch goes on")

    def finish(self, report: Report) -> None:
        """The watch is over."""
        for each in tuple(self._left):
            try:
                each.finish(report)
            except (LeakscopeError, ClosedPipe) as problem:
                self._lose(each, problem)

    def check(self) -> None:
        """Raises the first thing that went wrong, of which no more need be said."""
        if self._first is not None:
            raise self._first

    def _lose(
        self, follow: Follower, problem: LeakscopeError | ClosedPipe, what_now: str = ""
    ) -> None:
        self._left.remove(follow)
        self._first = self._first or problem
        if isinstance(problem, LeakscopeError):
            say(f"{problem}{what_now}", problem.advice)
            problem.is_said = True


def followed(
    pids: Sequence[int],
    watching: Callable[[Stop, Callable[[Watched], None]], Report],
    out: Output,
    format_: str,
    color: str,
    *,
    quiet: bool,
    beside: Sequence[Follower] = (),
    is_recorded: bool = False,
    of_program: bool = False,
) -> Report:
    """The report of a watch that was shown while it went on, and what was asked for beside it.

    A display that is lost (its disk is full, its reader has gone) ends a watch that is for nothing
    else. Where more was asked for, or a program goes on, all that can be written is; then the
    first thing that could not be is raised.

    Signals end the watch until the report is out, and not the words about it. Those that come while
    leakscope runs a program are the program's, and then its own. To the program belongs the screen,
    too: there is no live view.
    """
    stop = Stop(*pids)
    is_needed = of_program or is_recorded or bool(beside)
    with ended_by_signals() if of_program else stopped_by_signals(stop):
        with follower(out, format_, color, stop, quiet=quiet, live=not of_program) as follow:
            together = Together((follow, *beside), is_needed=is_needed)
            # Not as they are made: a program is started after that, by a fork.
            for each in beside:
                if isinstance(each, Starting):
                    each.start()
            report = watching(stop, together.sample)
        together.finish(report)
    linger(beside)
    together.check()
    return report


def follower(
    out: Output, format_: str, color: str, stop: Stop, *, quiet: bool, live: bool = True
) -> AbstractContextManager[Follower]:
    """The follower for a format; the live view when a person reads text at a terminal.

    The view has a key that ends the watch: it sets `stop`.
    """
    if format_ in ("json", "ndjson"):
        return _as_it_is(JsonLines(out))
    if format_ != "text":
        return _as_it_is(AtTheEnd(out, renderer(OF_REPORTS, format_)))
    if live and out.is_terminal and not quiet and _can_be_drawn_on():
        return _live(out, color, stop)
    return _as_it_is(TextLines(out, color, quiet=quiet))


@contextmanager
def _as_it_is(follow: Follower) -> Iterator[Follower]:
    yield follow


@contextmanager
def _live(out: Output, color: str, stop: Stop) -> Iterator[Follower]:
    from leakscope.commands.live import LiveView
    from leakscope.renderers.terminal import console_for

    console = console_for(color=wants_color(out, color))
    with LiveView(console, stop.set, _written) as view:
        yield _Live(view, TextLines(out, color, quiet=True))


def _can_be_drawn_on() -> bool:
    """Whether the terminal can show a view: it moves its cursor, and no shell is using it."""
    from leakscope.keyboard import is_in_foreground

    return os.environ.get("TERM", "dumb") not in ("dumb", "unknown") and is_in_foreground()


def _written(report: Report) -> str:
    """Writes what was found so far to a file in this directory; what is to be said of that."""
    from leakscope.renderers.text import report_lines

    pid = report.targets[0].pid if report.targets else "none"
    at = time.strftime("%Y%m%d-%H%M%S", time.localtime(report.ended_at))
    path = f"leakscope-{pid}-{at}.txt"
    try:
        out = Output(path)
        out.lines(report_lines(report))
        out.close()
    except UsageProblem as problem:
        return str(problem)
    return f"the report as of now is in {path}"


class _Live:
    """The live view, and the text report when it has closed."""

    def __init__(self, view: LiveView, at_end: TextLines) -> None:
        self._view = view
        self._at_end = at_end
        self._cpu_s = 0.0

    def sample(self, watched: Watched) -> None:
        from leakscope.renderers.live.state import Setting

        began_s = time.thread_time()
        schedule = watched.schedule
        setting = Setting(duration_s=schedule.duration_s, samples=schedule.count)
        self._view.update(watched.report(), setting)
        self._cpu_s += time.thread_time() - began_s
        watched.excuse(self._cpu_s + self._view.cpu_s)

    def finish(self, report: Report) -> None:
        self._at_end.finish(report)


class AtTheEnd:
    """Nothing until the watch is over, and then the report."""

    def __init__(self, out: Output, lines: Callable[[Report], Iterable[str]]) -> None:
        self._out = out
        self._lines = lines

    def sample(self, watched: Watched) -> None:
        pass

    def finish(self, report: Report) -> None:
        self._out.lines(self._lines(report))
        self._out.close()


class Verdicts:
    """Remembers each group's verdict, to tell which changed; a new group is taken as steady."""

    def __init__(self) -> None:
        self._known: dict[str, Trend] = {}

    def changed(self, watched: Watched) -> Iterator[tuple[str, Trend, Trend]]:
        """(id of the group, verdict before, verdict now) of what changed."""
        for id_, _, now in watched.members.standings():
            before = self._known.get(id_, Trend.STEADY)
            self._known[id_] = now
            if now is not before:
                yield id_, before, now


class TextLines:
    """A line when something changes, and the report at the end."""

    # Threads that come and go change between these all the time; that is no news.
    _NO_NEWS = frozenset((Trend.STEADY, Trend.CHURNING, Trend.SHRINKING))

    def __init__(self, out: Output, color: str, *, quiet: bool) -> None:
        self._out = out
        self._color = color
        self._quiet = quiet
        self._verdicts = Verdicts()

    def sample(self, watched: Watched) -> None:
        if self._quiet:
            return
        from leakscope.renderers.text import change_line

        if not watched.samples:
            return
        for id_, before, now in self._verdicts.changed(watched):
            if {before, now} <= self._NO_NEWS:
                continue
            group = watched.members.group(id_)
            line = change_line(watched.members.observed_s, group, before, now)
            print_lines(self._out, [line], self._color)

    def finish(self, report: Report) -> None:
        from leakscope.renderers.text import report_lines

        print_lines(self._out, report_lines(report), self._color)
        self._out.close()


class JsonLines:
    """NDJSON: a start line, a line a sample, a line a change of verdict, the summary."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._started = False
        self._verdicts = Verdicts()

    def sample(self, watched: Watched) -> None:
        from leakscope.wire import encode

        documents = [] if self._started else [self._start(watched)]
        self._started = True
        self._out.lines(map(encode, [*documents, *self._of_round(watched)]))

    def _start(self, watched: Watched) -> dict[str, Any]:
        from leakscope.wire import start_document

        return start_document(
            watched.members.targets,
            at=watched.members.began_at,
            interval_s=watched.schedule.interval_s,
            level=watched.members.view.level,
        )

    def _of_round(self, watched: Watched) -> Iterator[dict[str, Any]]:
        from leakscope.wire import change_document, missed_document, sample_document

        members = watched.members
        for pid, missed in watched.missed:
            yield missed_document(missed, pid)
        if not watched.samples:
            return
        first = watched.samples[0]  # of the round; the others follow it at once
        yield sample_document(
            taken_at=first.taken_at,
            elapsed_s=first.elapsed_s,
            threads=members.threads,
            os_threads=members.os_threads,
            by_process=members.threads_by_process,
            groups=members.sizes(),
            tries=sum(sample.tries for sample in watched.samples),
        )
        for id_, before, now in self._verdicts.changed(watched):
            group = members.group(id_)
            yield change_document(
                at=first.taken_at,
                elapsed_s=first.elapsed_s,
                group_id=id_,
                was=before,
                trend=now,
                count=group.size,
                site=group.site,
            )

    def finish(self, report: Report) -> None:
        from leakscope.wire import encode, report_document

        self._out.lines([encode(report_document(report))])
        self._out.close()
