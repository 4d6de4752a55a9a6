"""Reads the JSON that leakscope prints, and holds every document against the schema it prints."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tests.running import leakscope_cli

Document = dict[str, Any]


def checked(line: str) -> Document:
    """The document of one line; an AssertionError if it doesn't keep to the schema."""
    assert line.isascii(), f"not plain ASCII: {line!r}"
    document: Document = json.loads(line)
    errors = [f"{error.json_path}: {error.message}" for error in _validator().iter_errors(document)]
    assert not errors, "\n".join([*errors, line])
    return document


def checked_lines(text: str) -> list[Document]:
    """The documents of NDJSON; each line is whole, the last one too."""
    assert text.endswith("\n"), f"the last line is cut off: {text[-200:]!r}"
    return [checked(line) for line in text.splitlines()]


def of_type(documents: Iterable[Document], type_: str) -> list[Document]:
    """Those of one type."""
    return [document for document in documents if document["type"] == type_]


def group_at(report: Document, function: str) -> Document:
    """The one group whose site is this function, which 3.11 and newer may give with its class."""
    found = [
        group
        for group in report["groups"]
        if group["site"] and group["site"]["function"].rpartition(".")[2] == function
    ]
    assert len(found) == 1, f"{len(found)} groups at {function}: {_sites(report)}"
    group: Document = found[0]
    return group


def _sites(report: Document) -> list[str]:
    return [group["site"] and group["site"]["function"] for group in report["groups"]]


@cache
def _validator() -> Draft202012Validator:
    printed = leakscope_cli("schema")
    assert printed.returncode == 0, printed.stderr
    schema = json.loads(printed.stdout)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
