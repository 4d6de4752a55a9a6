"""The figures of a report as OpenMetrics text, for a push gateway or a file that is scraped."""

from __future__ import annotations

from collections.abc import Iterator

from leakscope.exporters.openmetrics import open_metrics
from leakscope.metrics import families
from leakscope.report import Report


def lines(report: Report) -> Iterator[str]:
    """The same figures that a watch exports while it goes on."""
    yield from open_metrics(families(report))
