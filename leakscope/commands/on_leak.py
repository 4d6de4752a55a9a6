"""`--on-leak`: a command is told of each leak, once, as soon as it is found."""

from __future__ import annotations

from collections.abc import Iterable

from leakscope.commands.looking import Watched
from leakscope.leaks import Leak
from leakscope.members import Edition
from leakscope.output import say
from leakscope.report import Overall, Report
from leakscope.sources.hook import Failure, Hook


class OnLeak:
    """Follows a watch, and runs the command for each leak that was not there before."""

    def __init__(self, command: str) -> None:
        self._hook = Hook(command)
        self._told: set[str] = set()  # ids of leaks, and of the groups that they named
        self._looked_at: Edition = ()

    def sample(self, watched: Watched) -> None:
        """Tell what is new after a round, as far as that can be done without waiting."""
        members = watched.members
        # What a baseline knows is never told, and it takes a report to see that it is no faster:
        # one for all that is found at a time.
        if members.verdict is Overall.LEAKING and members.edition != self._looked_at:
            found = [
                leak for _, engine in members.engines().values() for leak in engine.findings().leaks
            ]
            if any(map(self._is_new, found)):
                self._tell(watched.report())
            self._looked_at = members.edition
        _say(self._hook.failures())

    def finish(self, report: Report) -> None:
        """Tell what was found at the very end."""
        self._tell(report)

    def linger(self) -> None:
        """Wait until all has been told."""
        _say(self._hook.finish())

    def _is_new(self, leak: Leak) -> bool:
        return self._told.isdisjoint((leak.id, *leak.groups))

    def _tell(self, report: Report) -> None:
        from leakscope.wire import encode, leak_document

        for leak in report.leaks:
            if self._is_new(leak):
                document = encode(leak_document(leak, report))
                self._hook.run(leak.id, f"{document}\n".encode())
            # One that goes on may come to be judged by another of its groups.
            self._told.update((leak.id, *leak.groups))


def _say(failures: Iterable[Failure]) -> None:
    for failure in failures:
        say(f"--on-leak, for leak {failure.name}: {failure.why}")
