"""A comparison as its JSON document, on one line."""

from __future__ import annotations

from collections.abc import Iterator

from leakscope.diffing import Diff
from leakscope.wire import diff_document, encode


def lines(diff: Diff) -> Iterator[str]:
    """The document that the schema describes."""
    yield encode(diff_document(diff))
