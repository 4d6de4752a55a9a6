"""The leaks of many reports as a JSON document, on one line."""

from __future__ import annotations

from collections.abc import Iterator

from leakscope.ranking import Ranking
from leakscope.wire import encode, rank_document


def lines(ranking: Ranking) -> Iterator[str]:
    """The document that the schema describes."""
    yield encode(rank_document(ranking))
