"""What `make acceptance` writes into the README."""

from __future__ import annotations

import json

from tests.acceptance import BLOCK, text_of
from tests.faults.figures import Figures
from tests.machine import README, write_block


def figures() -> Figures:
    counted = Figures()
    counted.tried("SIGKILLs of py-spy", 500, 500)
    counted.tried("SIGKILLs of py-spy", 500, 499)
    counted.note("churn on Python 3.11", samples=9000, lost=3)
    return counted


def test_figures_add_up_and_are_kept(tmp_path):
    file = tmp_path / "figures.json"
    figures().write(file)
    assert text_of(json.loads(file.read_text()), "1 May 2026, a machine").splitlines() == [
        "Measured on 1 May 2026, a machine (`make acceptance`).",
        "",
        "| what was done | times | survived |",
        "|---|---|---|",
        "| SIGKILLs of py-spy | 1000 | 999 |",
        "",
        "| what was measured | figures |",
        "|---|---|",
        "| churn on Python 3.11 | samples 9000, lost 3 |",
    ]


def test_lines_for_people():
    assert figures().lines() == [
        "SIGKILLs of py-spy: 999 of 1000",
        "churn on Python 3.11: samples 9000, lost 3",
    ]


def test_only_the_block_is_written(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n<!-- {BLOCK} -->\nold\n<!-- /{BLOCK} -->\nafter\n")
    assert write_block(BLOCK, "new", readme)
    assert readme.read_text() == f"before\n<!-- {BLOCK} -->\nnew\n<!-- /{BLOCK} -->\nafter\n"


def test_a_readme_without_the_block_is_left_alone(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("before\n")
    assert not write_block(BLOCK, "new", readme)
    assert not write_block(BLOCK, "new", tmp_path / "none.md")
    assert readme.read_text() == "before\n"


def test_the_readme_has_the_block():
    text = README.read_text(encoding="utf-8")
    assert f"<!-- {BLOCK} -->" in text
    assert f"<!-- /{BLOCK} -->" in text
