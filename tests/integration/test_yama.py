"""Under a kernel with Yama: what each scope lets leakscope see, and what is said of the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import yama
from tests.documents import checked, checked_lines, group_at
from tests.yama.inside import POOL

pytestmark = pytest.mark.slow

Tried = dict[tuple[int, str], dict[str, Any]]
SCOPES = (0, 1, 2, 3)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Tried:
    """What was tried in there, by scope and name."""
    yama.need()
    one_file: Path = request.getfixturevalue("one_file")
    tries = yama.tries(one_file, tmp_path_factory.mktemp("yama"))
    return {(one["scope"], one["tried"]): one for one in tries}


def assert_saw_the_pool(one: dict[str, Any]) -> None:
    """A dump, or the report of a run, has all threads of the service's pool."""
    assert one["status"] == 0, one["stderr"]
    if one["report"]:
        assert group_at(checked_lines(one["report"])[-1], "pool_worker")["peak"] == POOL
    else:
        assert group_at(checked(one["stdout"]), "pool_worker")["count"] == POOL


def assert_refused(one: dict[str, Any], *words: str) -> None:
    assert one["status"] == 4, one
    assert not one["report"]
    assert "\nleakscope: not permitted to look into process " in f"\n{one['stderr']}"
    for word in words:
        assert word in one["stderr"]


@pytest.mark.parametrize("name", ["dump", "dump by a parent", "run", "run by exec", "run below"])
def test_without_yama_s_rule_a_user_looks_into_that_user_s_processes(name, tried):
    assert_saw_the_pool(tried[0, name])


@pytest.mark.parametrize("name", ["run", "run by exec"])
def test_under_scope_1_it_looks_at_what_it_started(name, tried):
    assert_saw_the_pool(tried[1, name])


@pytest.mark.parametrize("name", ["dump", "watch", "dump by a parent", "run below"])
def test_under_scope_1_it_is_told_that_it_may_look_at_nothing_else(name, tried):
    assert_refused(
        tried[1, name], "Run it as root: ", "`leakscope run -- ", "(kernel.yama.ptrace_scope is 1)"
    )


@pytest.mark.parametrize("name", ["dump", "run"])
@pytest.mark.parametrize(("scope", "words"), [(2, "Run it as root: "), (3, "until it is booted")])
def test_under_a_stricter_scope_it_may_not_even_look_at_what_it_started(name, scope, words, tried):
    assert_refused(tried[scope, name], words, f"(kernel.yama.ptrace_scope is {scope})")


@pytest.mark.parametrize("scope", [0, 1, 2])
def test_root_looks_into_all(scope, tried):
    assert_saw_the_pool(tried[scope, "dump by root"])


def test_under_scope_3_root_is_told_that_nobody_may(tried):
    said = tried[3, "dump by root"]
    assert_refused(said, "until it is booted anew (kernel.yama.ptrace_scope is 3)")
    assert "SELinux" not in said["stderr"]


@pytest.mark.parametrize("scope", SCOPES)
def test_doctor_tells_the_scope_and_what_it_forbids(scope, tried):
    said = tried[scope, "doctor"]
    assert said["status"] == (4 if scope else 0)
    (rights,) = [
        check for check in json.loads(said["stdout"])["checks"] if check["name"] == "rights"
    ]
    assert f"(ptrace_scope {scope})" in rights["found"]
    assert rights["status"] == ("problem" if scope else "ok")
    assert (f"ptrace_scope is {scope})" in " ".join(rights["advice"])) is bool(scope)
