"""A watch's figures for Prometheus. What is written is the client library's, of metrics.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler

from prometheus_client.core import Metric
from prometheus_client.exposition import MetricsHandler, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from leakscope.metrics import families
from leakscope.report import Report


class LatestReport(Collector):
    """The figures of the report that was shown last, and of no other.

    Nothing is kept from one report to the next, so the series of a group that has ended are gone
    with it.
    """

    def __init__(self, labels: Mapping[str, str] | None = None) -> None:
        """The labels are put on every series."""
        self._labels = dict(labels or {})
        self._report: Report | None = None
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def show(self, report: Report) -> None:
        """Take this one from now on; whoever reads in another thread sees one or the other."""
        self._report = report

    def collect(self) -> Iterator[Metric]:
        """What the library asks for, at each scrape."""
        report = self._report
        if report is None:
            return
        for family in families(report):
            metric = Metric(family.name, family.help, family.kind)
            for labels, value in family.samples:
                metric.add_sample(family.sample_name, {**labels, **self._labels}, value)
            yield metric

    def text(self) -> bytes:
        """All of it in the text format."""
        return generate_latest(self._registry)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        """What answers a scrape, in the format that it asks for."""
        return MetricsHandler.factory(self._registry)
