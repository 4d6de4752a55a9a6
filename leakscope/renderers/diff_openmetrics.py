"""The figures of a comparison as OpenMetrics text."""

from __future__ import annotations

from collections.abc import Iterator

from leakscope.diffing import Diff
from leakscope.exporters.openmetrics import open_metrics
from leakscope.metrics import diff_families


def lines(diff: Diff) -> Iterator[str]:
    """How many threads there were and are, and the groups that have grown most."""
    yield from open_metrics(diff_families(diff))
