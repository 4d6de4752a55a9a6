"""What the tests of faults count, for people: faults tried and survived, samples taken and lost.

A test takes the fixture `figures`. The counts of a run are printed at its end; with
`--figures FILE` they are added to a JSON file, which `tests.acceptance` writes into the README.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any


class Figures:
    """The counts of one run, by what was counted."""

    def __init__(self) -> None:
        self.tries: Counter[str] = Counter()
        self.survived: Counter[str] = Counter()
        self.facts: dict[str, dict[str, Any]] = {}

    def tried(self, what: str, times: int, survived: int) -> None:
        """Something was done so many times, and so often nothing was lost or harmed."""
        self.tries[what] += times
        self.survived[what] += survived

    def note(self, what: str, **facts: Any) -> None:
        """Something was measured."""
        self.facts[what] = facts

    def lines(self) -> list[str]:
        """A line for each thing that was counted or measured."""
        counted = [f"{what}: {self.survived[what]} of {n}" for what, n in self.tries.items()]
        measured = [
            f"{what}: {', '.join(f'{name} {value}' for name, value in facts.items())}"
            for what, facts in self.facts.items()
        ]
        return counted + measured

    def write(self, path: Path) -> None:
        """Keep the counts as JSON, those of the latest run."""
        survived = {what: [self.survived[what], n] for what, n in self.tries.items()}
        path.write_text(json.dumps({"survived": survived, "facts": self.facts}, indent=1) + "\n")
