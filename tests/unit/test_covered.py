"""What `make coverage` holds against its bar."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests import covered


def totals(branches: int) -> dict[str, int]:
    return {
        "covered_branches": branches,
        "num_branches": 200,
        "covered_lines": 999,
        "num_statements": 1000,
    }


@pytest.fixture
def measured(monkeypatch):
    """Let `coverage json` say so many branches."""

    def say(branches: int) -> None:
        said = json.dumps({"totals": totals(branches)})
        done = subprocess.CompletedProcess([], 0, stdout=said)
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)

    return say


def test_enough_branches(measured, capsys):
    measured(190)
    covered.main()
    said = "branches: 95.0 % (190 of 200), lines: 99.9 % (999 of 1000)\n"
    assert capsys.readouterr().out == said


def test_lines_do_not_make_up_for_branches(measured):
    measured(189)
    with pytest.raises(SystemExit) as ended:
        covered.main()
    assert ended.value.code == "fewer than 95 % of the branches"
