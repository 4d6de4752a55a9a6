"""Short ways to make checks."""

from __future__ import annotations

from leakscope.checkup import (
    Check,
    Status,
    Unknown,
)


def ok(name: str, found: str) -> Check:
    """All is well."""
    return Check(name, Status.OK, found)


def note(name: str, found: str, advice: str = "") -> Check:
    """Something is not seen, or is to be known."""
    return Check(name, Status.NOTE, found, advice)


def problem(name: str, found: str, advice: str = "") -> Check:
    """Nothing is seen, or the process is close to harm."""
    return Check(name, Status.PROBLEM, found, advice)


def unknown(name: str, unknown: Unknown) -> Check:
    """It could not be found out."""
    return note(name, f"unknown, because {unknown.why}")


def count(number: int, noun: str) -> str:
    """`1 thread`, `2 threads`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
