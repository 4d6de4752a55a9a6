"""Says how many branches the tests went through: `python -m tests.covered`, after `coverage run`.

The percentage that `coverage report` holds against its limit is that of lines and branches
together; those of the branches by themselves are held against it here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

LEAST_PERCENT = 95.0


def part(totals: dict[str, Any], covered: str, all_of_them: str) -> float:
    """How much of something was gone through, in percent."""
    return 100.0 * int(totals[covered]) / int(totals[all_of_them])


def line_of(totals: dict[str, Any]) -> str:
    """The figures in words."""
    branches = part(totals, "covered_branches", "num_branches")
    lines = part(totals, "covered_lines", "num_statements")
    return (
        f"branches: {branches:.1f} % ({totals['covered_branches']} of {totals['num_branches']}),"
        f" lines: {lines:.1f} % ({totals['covered_lines']} of {totals['num_statements']})"
    )


def main() -> None:
    """Fail if it is too little."""
    asked = [sys.executable, "-m", "coverage", "json", "--quiet", "-o", "-"]
    totals = json.loads(subprocess.run(asked, stdout=subprocess.PIPE, check=True).stdout)["totals"]
    print(line_of(totals))
    if part(totals, "covered_branches", "num_branches") < LEAST_PERCENT:
        sys.exit(f"fewer than {LEAST_PERCENT:.0f} % of the branches")


if __name__ == "__main__":
    main()
