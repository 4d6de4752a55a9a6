"""Figures as OpenMetrics text, which the official client library writes."""

from __future__ import annotations

from collections.abc import Iterable

from leakscope.exporters.client import registry
from leakscope.metrics import Family


def open_metrics(families: Iterable[Family]) -> list[str]:
    """The lines of the text, with the one that ends it."""
    from prometheus_client.openmetrics.exposition import generate_latest

    written = tuple(families)
    text: bytes = generate_latest(registry(lambda: written))  # type: ignore[no-untyped-call]
    return text.decode("utf-8").rstrip("\n").split("\n")
