"""A secret of the target is nowhere in what leakscope writes, unless someone has asked for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import checked
from tests.running import Target, leakscope_cli, running

pytestmark = pytest.mark.attach

ARGUMENTS = (
    "--password", "hunter2-option", "--api-key=hunter2-equals", "TOKEN=hunter2-assignment",
    "postgres://me:hunter2-url@db/orders", "--port", "8000",
)  # fmt: skip
SHOWN = "--password *** --api-key=*** TOKEN=*** postgres://me:***@db/orders --port 8000"
VARIABLE = "LEAKSCOPE_TEST_SECRET"


@pytest.fixture(scope="module")
def keeper() -> Iterator[Target]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "hunter2-environment")
        with running("holds_secrets.py", *ARGUMENTS) as target:
            yield target


def all_output(target: Target, folder: Path, *options: str) -> str:
    """All that leakscope says and writes about a process, in each form, one text."""
    recording = folder / "watch.jsonl"
    runs = [
        leakscope_cli(*command, *options)
        for command in [
            ("ps",),
            ("ps", "--json"),
            ("dump", target.pid, "-v"),
            ("dump", target.pid, "--json"),
            ("watch", target.pid, "--count", "2", "-n", "100ms", "-v"),
            ("watch", target.pid, "--count", "2", "-n", "100ms", "--json", "--record", recording),
            ("replay", recording),
            ("replay", recording, "--json"),
        ]
    ]
    assert [run.returncode for run in runs] == [0] * len(runs)
    return "".join([run.stdout + run.stderr for run in runs] + [recording.read_text()])


def test_secrets_are_in_no_output(keeper, tmp_path):
    said = all_output(keeper, tmp_path)
    assert "hunter2" not in said
    assert SHOWN.split("8000")[0] in said


def test_local_variables_are_not_even_read(keeper, tmp_path):
    said = all_output(keeper, tmp_path, "--redact", "none")
    assert "py-spy dump --json" in said  # the calls are there, with -v
    assert "--locals" not in said
    assert "hunter2-variable" not in said
    assert "hunter2-environment" not in said


def test_none_shows_the_command_line_as_it_is(keeper, tmp_path):
    said = all_output(keeper, tmp_path, "--redact", "none")
    assert "--password hunter2-option --api-key=hunter2-equals" in said
    assert '"hunter2-option"' in (tmp_path / "watch.jsonl").read_text()
    # A recording with all in it can still be shown without.
    assert "hunter2" not in leakscope_cli("replay", tmp_path / "watch.jsonl").stdout


def test_all_shows_the_names_of_options_only(keeper, tmp_path):
    said = all_output(keeper, tmp_path, "--redact", "all")
    # Of other processes that run beside this test `ps` may say the program.
    assert "hunter2" not in said
    assert "orders" not in said
    assert "*** --password *** --api-key=*** TOKEN=*** *** --port ***" in said


def test_the_list_of_several_processes_is_masked_too(keeper):
    with running("holds_secrets.py", *ARGUMENTS):
        run = leakscope_cli("dump")
        assert run.returncode == 2
        assert "hunter2" not in run.stderr
        assert str(keeper.pid) in run.stderr


def test_completion_is_masked_too(keeper):
    run = leakscope_cli(
        env={"_LEAKSCOPE_COMPLETE": "zsh_complete", "COMP_WORDS": "leakscope dump ",
             "COMP_CWORD": "2"},
    )  # fmt: skip
    assert str(keeper.pid) in run.stdout
    assert "hunter2" not in run.stdout


def test_variables_are_masked_by_their_names_and_looks(keeper):
    report = checked(leakscope_cli("dump", keeper.pid, "--json").stdout)
    (group,) = (
        group["id"]
        for group in report["groups"]
        if any(frame["function"] == "log_in" for frame in group["frames"])
    )
    run = leakscope_cli("dump", keeper.pid, "--locals", group)
    assert run.returncode == 0
    assert "argument  password = ***" in run.stdout
    assert re.search(r"argument  address = .redis://me:\*\*\*@host/0", run.stdout)
    assert "local  attempts = 3" in run.stdout
    assert "of-a-variable" not in run.stdout
    assert "hunter2" not in run.stdout
    shown = leakscope_cli("dump", keeper.pid, "--locals", group, "--redact", "none").stdout
    assert "hunter2-variable" in shown
    assert "of-a-variable" in shown
    hidden = leakscope_cli("dump", keeper.pid, "--locals", group, "--redact", "all").stdout
    assert "local  attempts = ***" in hidden


def test_the_mode_can_come_from_the_environment(keeper):
    run = leakscope_cli("dump", keeper.pid, env={"LEAKSCOPE_REDACT": "all"})
    assert "--port ***" in run.stdout
