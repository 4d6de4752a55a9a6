"""Which process is looked at when none was named, and what is said before it is stopped."""

from __future__ import annotations

import os
import sys

import pytest

from leakscope.commands.targets import pid_or_only
from leakscope.errors import UsageProblem
from leakscope.processes import ProcessFacts
from leakscope.redaction import Redaction

OURS = ("python", "-m", "leakscope", "watch")


def process(pid: int, *command: str) -> ProcessFacts:
    return ProcessFacts(pid, "3.11.7", 8, 1.0, command or ("python", "app.py"), "root")


@pytest.fixture
def listed(monkeypatch):
    """Let there be these Python processes and no other."""

    def be(*processes: ProcessFacts) -> None:
        monkeypatch.setattr(
            "leakscope.sources.process_list.python_processes", lambda *_: list(processes)
        )

    return be


def test_none_is_there(listed):
    listed()
    with pytest.raises(UsageProblem, match="there is no Python process") as raised:
        pid_or_only(None)
    assert "leakscope ps" in raised.value.advice


def test_the_only_one_beside_leakscope_is_taken(listed):
    listed(process(1, *OURS), process(2))
    assert pid_or_only(None) == 2


def test_secrets_of_several_are_masked_when_they_are_listed(listed):
    listed(process(1, "python", "app.py", "--password=hunter2"), process(2))
    with pytest.raises(UsageProblem, match="there are several") as raised:
        pid_or_only(None, Redaction.SECRETS)
    assert "--password=" in raised.value.advice
    assert "hunter2" not in raised.value.advice


def test_a_person_is_told_what_stopping_costs(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert pid_or_only(os.getpid(), say_pause=True) == os.getpid()
    said = capsys.readouterr().err
    assert said.startswith(f"leakscope: --blocking stops process {os.getpid()} for about ")
    assert "thread" in said


def test_of_a_process_that_is_gone_nothing_is_told(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("leakscope.sources.kernel.process_state", lambda _: None)
    assert pid_or_only(4711, say_pause=True) == 4711
    assert capsys.readouterr().err == ""


def test_a_pipe_is_told_nothing(capsys):
    pid_or_only(os.getpid(), say_pause=True)
    assert capsys.readouterr().err == ""
