"""A report as its JSON document, on one line."""

from __future__ import annotations

from collections.abc import Iterator

from leakscope.report import Report
from leakscope.wire import encode, report_document


def lines(report: Report) -> Iterator[str]:
    """The document that the schema describes."""
    yield encode(report_document(report))
