"""Followers that hand on the figures of a watch while it goes on: to a scraper, or into a file."""

from __future__ import annotations

import time

import click

from leakscope.commands.looking import Watched
from leakscope.errors import UsageProblem
from leakscope.exporters.addresses import address_of
from leakscope.exporters.prometheus import LatestReport
from leakscope.exporters.serving import Serving
from leakscope.exporters.textfile import TextFile
from leakscope.output import say
from leakscope.report import Report

# A scraper comes every 15 s to a minute. To put together a report of a thousand threads takes
# milliseconds, which dumps would have to pay for, and to put a file to disk for good a wait.
_EACH_S = 5.0


class _Pace:
    """Tells whether it is time to show a report; the first one is due at once."""

    def __init__(self) -> None:
        self._due_s = 0.0

    def is_due(self) -> bool:
        now_s = time.monotonic()
        if now_s < self._due_s:
            return False
        self._due_s = now_s + _EACH_S
        return True


class Scraped:
    """Answers a Prometheus that scrapes, until the watch is over."""

    def __init__(self, address: str) -> None:
        """Raises UsageProblem when nothing can listen there."""
        self._latest = LatestReport()
        self._pace = _Pace()
        self._serving = Serving(address_of(address), self._latest.handler())
        where = self._serving.address
        if not where.is_loopback:
            say(f"whoever reaches {where} can read the metrics there; nothing is asked of them")
        elif not click.get_current_context().params.get("quiet"):
            say(f"metrics are at http://{where}/metrics")

    def start(self) -> None:
        """Answer from now on, though there may be no process to look at for a while."""
        self._serving.start()

    def sample(self, watched: Watched) -> None:
        if self._pace.is_due():
            self._latest.show(watched.report())
        self._serving.start()

    def finish(self, report: Report) -> None:
        self._serving.close()


class InTextFile:
    """Keeps a file for node_exporter up to date; its last state is that of the end."""

    def __init__(self, path: str) -> None:
        """Raises UsageProblem when no such file can be written."""
        self._file = TextFile(path)
        self._pace = _Pace()
        self._has_failed = False

    def sample(self, watched: Watched) -> None:
        if not self._pace.is_due():
            return
        try:
            self._file.write(watched.report())
        except UsageProblem as error:
            # The disk may be full for a while: no reason to end a watch.
            if not self._has_failed:
                say(f"{error}; it is tried again, and the watch goes on")
            self._has_failed = True

    def finish(self, report: Report) -> None:
        try:
            self._file.write(report)
        finally:
            self._file.close()
