"""Figures as OpenMetrics text, which the official client library writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from leakscope.errors import UsageProblem
from leakscope.metrics import Family

try:
    from prometheus_client.core import Metric
    from prometheus_client.openmetrics.exposition import generate_latest
    from prometheus_client.registry import Collector, CollectorRegistry
except ModuleNotFoundError:
    # As it is imported, so that a watch says it before it begins and not when it is over.
    raise UsageProblem(
        "--format openmetrics needs the package prometheus-client",
        "Install it where leakscope is: python -m pip install prometheus-client",
    ) from None


class _Once(Collector):
    """Hands out these figures, whoever asks."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            metric = Metric(family.name, family.help, family.kind)
            for labels, value in family.samples:
                metric.add_sample(family.sample_name, dict(labels), value)
            yield metric


def open_metrics(families: Iterable[Family]) -> str:
    """The text, with the line that ends it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(families))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return text.decode("utf-8")
