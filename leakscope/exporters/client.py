"""The official client library of Prometheus, which writes every text format; and its absence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from leakscope.errors import UsageProblem
from leakscope.metrics import Family

try:
    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector, CollectorRegistry
except ModuleNotFoundError:
    # As it is imported, so that a watch says it before it begins and not when it is over.
    raise UsageProblem(
        "--listen, --textfile and --format openmetrics: each needs the package prometheus-client",
        "Install it where leakscope is: python -m pip install prometheus-client",
    ) from None


class _Collector(Collector):
    def __init__(self, families: Callable[[], Iterable[Family]]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families():
            metric = Metric(family.name, family.help, family.kind)
            for labels, value in family.samples:
                metric.add_sample(family.sample_name, dict(labels), value)
            yield metric


def registry(families: Callable[[], Iterable[Family]]) -> CollectorRegistry:
    """What the library writes or serves: the figures that there are when it asks for them."""
    made = CollectorRegistry(auto_describe=False)
    made.register(_Collector(families))
    return made
