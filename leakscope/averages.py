"""Averages of floats. The library's `statistics` can do exact fractions, for 5 ms of importing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum, sqrt


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean of at least one value."""
    return fsum(values) / len(values)


def median(values: Iterable[float]) -> float:
    """The middle one of at least one value, or the mean of the middle two."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def deviation(values: Sequence[float]) -> float:
    """The standard deviation of a whole population of at least one value."""
    middle = mean(values)
    return sqrt(fsum((value - middle) ** 2 for value in values) / len(values))
