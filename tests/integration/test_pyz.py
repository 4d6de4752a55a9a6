"""The one-file build runs with a Python that has nothing installed, and brings its own py-spy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pythons import find_pythons
from tests.running import running

NEW_ENOUGH = ("3.11", "3.12", "3.13", "3.14", "3.15")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build, made here from what is checked out."""
    subprocess.run(["make", "--silent", "pyz"], cwd=ROOT, check=True, timeout=300)
    moved: Path = tmp_path_factory.mktemp("pyz") / "leakscope.pyz"
    shutil.copy(ROOT / "dist" / "leakscope.pyz", moved)
    return moved


def run(
    python: str, one_file: Path, home: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """With next to no environment, and a PATH on which there is no py-spy."""
    return subprocess.run(
        [python, "-I", str(one_file), *arguments],
        capture_output=True, text=True, timeout=120,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home)},
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.attach
def test_it_looks_at_a_process_with_nothing_but_python(one_file, tmp_path):
    found = find_pythons()
    pythons = [found[version] for version in NEW_ENOUGH if version in found]
    with running("leaky_service.py") as target:
        for python in [*pythons, Path(sys.executable)]:
            done = run(str(python), one_file, tmp_path, "dump", str(target.pid), "--json")
            assert (done.returncode, done.stderr) == (0, ""), python
            assert json.loads(done.stdout)["groups"], python
        listed = run(sys.executable, one_file, tmp_path, "ps")
        assert str(target.pid) in listed.stdout


@pytest.mark.slow
def test_where_it_unpacks_itself_can_be_chosen(one_file, tmp_path):
    done = subprocess.run(
        [sys.executable, str(one_file), "--version"],
        capture_output=True, text=True, check=True,
        env=os.environ | {"SHIV_ROOT": str(tmp_path / "root")},
    )  # fmt: skip
    assert done.stdout.startswith("leakscope ")
    assert list((tmp_path / "root").glob("*/site-packages/bin/py-spy"))
