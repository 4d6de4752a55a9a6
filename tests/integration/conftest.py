"""What takes long because it waits goes on beside the tests that don't.

A module that defines `begun_early(pool, wanted, paths)` has it called before the first test of this
folder, with a pool to submit to, the tests of the module that were selected, and a maker of
folders. What it returns is the fixture `begun` of the module's own tests. These come last, so that
there is little left to wait for when they ask.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

# It waits nearly all the time, whatever the number of CPUs, but for its start. With so many at once
# all of it takes as long as the other tests of this folder.
MOST_AT_ONCE = 10


def begins_early(item: pytest.Item) -> bool:
    """Whether a test takes the outcome of what its module begins early."""
    return HERE in item.path.parents and "begun" in getattr(item, "fixturenames", ())


def place(item: pytest.Item) -> int:
    """Where a test comes in its folder; those that are to be alone when all else has ended."""
    return 2 if item.get_closest_marker("alone") else int(begins_early(item))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that wait behind the others of this folder."""
    ours = [number for number, item in enumerate(items) if HERE in item.path.parents]
    ordered = sorted((items[number] for number in ours), key=place)
    for number, item in zip(ours, ordered, strict=True):
        items[number] = item


@pytest.fixture(scope="package")
def _pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        yield pool


@pytest.fixture(scope="package", autouse=True)
def _all_begun(
    request: pytest.FixtureRequest,
    _pool: ThreadPoolExecutor,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[ModuleType, Any]:
    wanted: dict[ModuleType, list[pytest.Item]] = {}
    for item in request.session.items:
        if begins_early(item):
            assert isinstance(item, pytest.Function)
            wanted.setdefault(item.module, []).append(item)
    return {
        module: module.begun_early(_pool, items, tmp_path_factory)
        for module, items in wanted.items()
    }


@pytest.fixture(scope="module")
def begun(request: pytest.FixtureRequest, _all_begun: dict[ModuleType, Any]) -> Any:
    """What the module of a test began early."""
    return _all_begun[request.module]


@pytest.fixture(scope="session")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """leakscope.pyz, made here from what is checked out."""
    subprocess.run(["make", "--silent", "pyz"], cwd=ROOT, check=True, timeout=300)
    moved: Path = tmp_path_factory.mktemp("pyz") / "leakscope.pyz"
    shutil.copy(ROOT / "dist" / "leakscope.pyz", moved)
    return moved
