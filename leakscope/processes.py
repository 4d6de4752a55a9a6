"""The Python processes that can be looked at, as `leakscope ps` lists them. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """One Python process."""

    pid: int
    python: str | None  # "3.11.7"; None where it could not be told
    threads: int | None  # that the kernel counts
    age_s: float | None  # since it was started
    command: tuple[str, ...]  # empty where it may not be read
    user: str | None
