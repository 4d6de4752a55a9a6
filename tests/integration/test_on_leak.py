"""`--on-leak` runs a command for each leak: it gets the leak, and cannot hold anything up."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from leakscope.commands.on_leak import OnLeak
from leakscope.sources.hook import Failure, Hook
from tests.builders import group, leak, report
from tests.documents import checked_lines


def failures(hook: Hook, number: int = 1) -> list[Failure]:
    """What fails of so many runs, one after the other."""
    for n in range(number):
        hook.run(f"leak-{n}", b'{"type":"leak"}\n')
    return hook.finish()


def test_the_command_gets_the_document(tmp_path):
    assert failures(Hook(f"cat > {tmp_path}/got; echo this goes nowhere")) == []
    assert (tmp_path / "got").read_bytes() == b'{"type":"leak"}\n'


def test_one_that_does_not_read_it_is_no_failure():
    assert failures(Hook("exec <&-; exit 0")) == []


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("exit 3", "it ended with status 3"),
        ("echo one >&2; echo 'no such\\033[31m host' >&2; exit 3",
         "it ended with status 3: no such\x1b[31m host"),
        ("kill -9 $$", "it ended with signal 9"),
        ("kill -9 $PPID; sleep 1", "it ended with signal 9"),  # not whoever runs this test
    ],
)  # fmt: skip
def test_what_fails_is_told_in_one_line(command, why):
    assert failures(Hook(command)) == [Failure("leak-0", why)]


@pytest.mark.fault(
    "Input and output",
    "the command of `--on-leak` hangs, and ignores SIGTERM",
    "It is killed after 30 s with its process group, and one line says so; the watch goes on.",
)
def test_what_hangs_is_killed_with_its_process_group(tmp_path):
    hook = Hook(f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/pid; wait", limit_s=0.3)
    began_s = time.monotonic()
    (failure,) = failures(hook)
    assert "killed after 0.3 s" in failure.why or "not waited for" in failure.why
    assert time.monotonic() - began_s < 5
    pid = int((tmp_path / "pid").read_text())
    stat = Path(f"/proc/{pid}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.fault(
    "Input and output",
    "the command of `--on-leak` prints without end",
    "What it prints is dropped, and holds nothing up.",
)
def test_what_complains_without_end_holds_nobody_up():
    hook = Hook("yes >&2", limit_s=0.3)
    hook.run("leak-0", b"")
    began_s = time.monotonic()
    assert len(hook.finish()) == 1
    assert time.monotonic() - began_s < 2


def test_what_complains_a_lot_is_not_slowed():
    began_s = time.monotonic()
    command = "head -c 300000000 /dev/zero | tr '\\0' x >&2; echo; echo at last >&2; exit 3"
    assert failures(Hook(command))[0].why.endswith("at last")
    assert time.monotonic() - began_s < 15


def test_one_that_closes_what_it_complains_through_takes_no_time_of_ours(tmp_path):
    hook = Hook("exec 2>&-; sleep 0.8; exit 3")
    began_s = time.process_time()
    assert failures(hook) == [Failure("leak-0", "it ended with status 3")]
    assert time.process_time() - began_s < 0.3


def test_nobody_waits_for_what_is_being_started_or_killed(monkeypatch):
    """Whoever watches asks for failures after each round."""
    slow = threading.Event()

    def started(*_):
        slow.wait(10)
        raise OSError(0, "at last")

    monkeypatch.setattr("leakscope.sources.hook._started", started)
    hook = Hook("true")
    hook.run("leak-0", b"")
    began_s = time.monotonic()
    hook.run("leak-1", b"")
    assert hook.failures() == []
    assert time.monotonic() - began_s < 5
    slow.set()
    assert [failure.why for failure in hook.finish()] == ["cannot be run: at last"] * 2


def test_what_has_left_its_group_is_not_killed(tmp_path):
    hook = Hook(f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 60' & sleep 60", limit_s=1)
    assert len(failures(hook)) == 1
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)  # it is there


def test_a_few_run_at_once_and_the_others_after_them(tmp_path):
    hook = Hook(f"mkdir {tmp_path}/$$; sleep 0.2")
    for n in range(5):
        hook.run(f"leak-{n}", b"")
    while not os.listdir(tmp_path):
        time.sleep(0.01)
    assert len(os.listdir(tmp_path)) <= 3
    assert hook.finish() == []
    assert len(os.listdir(tmp_path)) == 5


@pytest.mark.fault(
    "Input and output",
    "the command of `--on-leak` hangs, and rounds are far apart",
    "It is killed after 30 s all the same.",
)
def test_what_hangs_is_killed_though_nobody_looks():
    hook = Hook("sleep 60", limit_s=0.3)
    hook.run("leak-0", b"")
    deadline = time.monotonic() + 10
    while not (failed := hook.failures()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert failed == [Failure("leak-0", "killed after 0.3 s, since it had not ended")]


def test_signals_that_are_held_back_from_leakscope_are_not_from_the_command():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        why = "it ended with signal 15"
        assert failures(Hook("kill -TERM $$; exit 0")) == [Failure("leak-0", why)]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_it_has_a_session_of_its_own(tmp_path):
    assert failures(Hook(f"ps -o sid= -p $$ > {tmp_path}/sid")) == []
    assert int((tmp_path / "sid").read_text()) != os.getsid(0)


def test_each_leak_is_told_once(tmp_path, capsys):
    told = tmp_path / "told"
    one, other = group(id="000000000001"), group(id="000000000002")
    follow = OnLeak(f"cat >> {told}")
    follow.finish(report(one, leaks=(leak(one),)))
    # The same one again, judged by another of its groups, and one that is new.
    follow.finish(report(one, other, leaks=(leak(other, one), leak(one))))
    follow.finish(report(one, leaks=(leak(group(id="000000000003")),)))
    follow.linger()
    ids = [document["leak"]["id"] for document in checked_lines(told.read_text())]
    assert ids == ["000000000001", "000000000003"]
    assert capsys.readouterr().err == ""


def test_a_failure_is_said_without_what_could_steer_a_terminal(capsys):
    one = group(id="000000000001")
    follow = OnLeak("printf '\\033[2J' >&2; exit 3")
    follow.finish(report(one, leaks=(leak(one),)))
    follow.linger()
    said = capsys.readouterr().err
    assert said.splitlines() == [
        "leakscope: --on-leak, for leak 000000000001: it ended with status 3: \\x1b[2J"
    ]
