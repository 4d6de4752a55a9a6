"""The README says what is true: help texts, files that it shows, targets that it names."""

from __future__ import annotations

import re

import pytest

from leakscope.cli import COMMANDS
from tests.readme_blocks import README, help_blocks, help_of

TEXT = README.read_text(encoding="utf-8")
WANTED = ["--help", *(f"{name} --help" for name in COMMANDS if name != "schema")]


@pytest.mark.parametrize("args", WANTED)
def test_help_is_that_of_the_program(args):
    assert help_blocks(TEXT).get(args) == help_of(args), "`make readme` writes the help texts anew"


def test_nothing_else_is_shown_as_help():
    assert sorted(help_blocks(TEXT)) == sorted(WANTED)


def test_files_that_it_shows_are_there():
    shown = re.findall(r"\]\((?!https?:|#)([^)#]+)\)", TEXT)
    assert shown
    assert [path for path in shown if not (README.parent / path).exists()] == []


def test_targets_that_it_names_are_there():
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"\bmake ([a-z]+)\b`", TEXT))
    assert {"demo", "test"} <= named
    assert named <= set(re.findall(r"^([a-z-]+):", makefile, re.M))


def test_it_does_not_install_another_project_by_this_name():
    assert "pip install leakscope" not in TEXT


def test_paths_of_the_machine_it_was_written_on_are_not_in_it():
    assert not re.search(r"/work/|/root/|pyenv", TEXT)
