"""`leakscope assets`: everything or nothing, and nothing that was there is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from leakscope.assets import assets
from leakscope.commands.assets import command
from leakscope.errors import UsageProblem

PATHS = [asset.path for asset in assets()]


def written(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(command, [str(folder), *options])


def test_there_are_rules_a_dashboard_and_recipes():
    assert {path.partition("/")[0] for path in PATHS} == {
        "docker",
        "grafana",
        "kubernetes",
        "prometheus",
    }
    assert sorted(PATHS) == PATHS


def test_each_file_is_written_and_named_in_a_line(tmp_path):
    folder = tmp_path / "not" / "there yet"
    result = written(folder)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [str(folder / path) for path in PATHS]
    assert {path: (folder / path).read_bytes() for path in PATHS} == dict(assets())


def test_nothing_is_overwritten_unless_asked(tmp_path):
    mine = tmp_path / PATHS[-1]
    mine.parent.mkdir()
    mine.write_text("mine")
    refused = written(tmp_path).exception
    assert isinstance(refused, UsageProblem)
    assert str(refused) == f"{mine} would be overwritten"
    assert "--force" in refused.advice
    assert mine.read_text() == "mine"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine], "all or nothing"
    assert written(tmp_path, "--force").exit_code == 0
    assert mine.read_bytes() == dict(assets())[PATHS[-1]]


def test_of_many_files_one_is_named(tmp_path):
    assert written(tmp_path).exit_code == 0
    refused = written(tmp_path).exception
    assert str(refused) == f"{tmp_path / PATHS[0]} and {len(PATHS) - 1} more would be overwritten"


@pytest.mark.parametrize("folder", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_told_in_a_line(folder, tmp_path):
    (tmp_path / "file").touch()
    refused = written(tmp_path / folder).exception
    assert isinstance(refused, UsageProblem)
    assert "cannot make the folder" in str(refused)
