"""A watch's figures for Prometheus, as of its latest report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler

from leakscope.exporters.client import registry
from leakscope.metrics import Family, Sample, families, without_process
from leakscope.report import EndedBy, Report

# With a process its threads have ended, and with them what was leaked. Who is paged for them then
# finds nothing, and a text file stays.
_GONE = (EndedBy.TARGET_EXITED, EndedBy.EXEC)


class LatestReport:
    """The figures of the report that was shown last, and of no other.

    Nothing is kept from one report to the next, so the series of a group that has ended are gone
    with it.
    """

    def __init__(self, labels: Mapping[str, str] | None = None) -> None:
        """The labels are put on every series."""
        self._labels = dict(labels or {})
        self._report: Report | None = None
        self._registry = registry(self._families)

    def show(self, report: Report) -> None:
        """Take this one from now on; whoever reads in another thread sees one or the other."""
        self._report = report

    def text(self) -> bytes:
        """All of it in the text format."""
        from prometheus_client.exposition import generate_latest

        return generate_latest(self._registry)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """What answers a scrape, in the format that it asks for."""
        from prometheus_client.exposition import MetricsHandler

        class Handler(MetricsHandler.factory(self._registry)):  # type: ignore[misc]
            server_version, sys_version = "leakscope", ""  # and not which Python this is

        return Handler

    def _families(self) -> Iterator[Family]:
        report = self._report
        is_there = report is not None and report.ended_by not in _GONE
        for family in families(report) if report and is_there else without_process(report):
            samples = tuple(
                Sample({**labels, **self._labels}, value) for labels, value in family.samples
            )
            yield family._replace(samples=samples)
