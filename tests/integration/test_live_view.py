"""The live view on a real terminal: what keys do to it, and how it leaves the terminal."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Target, running
from tests.tmux import Terminal, needs_tmux, terminal

pytestmark = [pytest.mark.attach, needs_tmux]

LEAKSCOPE = f"{shlex.quote(sys.executable)} -m leakscope"
KEYS = "q end  ? help"


@pytest.fixture(scope="module")
def service() -> Iterator[Target]:
    with running("leaky_service.py", "--pool", "5", "--requests", "0") as target:
        target.tell("leak 3")
        yield target


@pytest.fixture
def screen(tmp_path) -> Iterator[Terminal]:
    with terminal(tmp_path) as opened:
        yield opened


def watch(screen: Terminal, pid: int, *options: str) -> None:
    """Start a watch in the shell of a terminal; wait until its view is there."""
    command = f"{LEAKSCOPE} watch {pid} -n 300ms {' '.join(options)}"
    # Its PID, for signals: the shell that writes it becomes leakscope.
    whole = f"sh -c 'echo $$ >pid; exec {command}'; echo \"status $?\"; stty -a >after"
    script = screen.folder / "watch.sh"
    script.write_text(f"stty -a >before\n{whole}\n")
    screen.run(". ./watch.sh")
    screen.until_there(KEYS)


def assert_as_it_was(screen: Terminal, *, status: int = 0) -> str:
    """The watch has ended, the terminal is as before; what stands on it now."""
    screen.until_there(f"status {status}")
    after = screen.folder / "after"
    screen.until(lambda _: after.exists() and bool(after.read_text()))
    assert after.read_text() == (screen.folder / "before").read_text()
    assert screen.tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}") == "0 1\n"
    history = screen.history()
    assert KEYS not in history, "the view has left something behind"
    assert "Traceback" not in history
    return history


def leakscope_pid(screen: Terminal) -> int:
    return int((screen.folder / "pid").read_text())


def selected(screen: Terminal) -> str:
    (row,) = (line for line in screen.screen() if line.startswith(">"))
    return row


def test_keys(service, screen):
    watch(screen, service.pid)
    lines = screen.screen()
    assert lines[0].startswith(f"pid {service.pid}, Python ")
    assert "pool_worker" in selected(screen)
    # Each acts at once, and not with the next sample.
    screen.press("j")
    screen.until(lambda _: "consume" in selected(screen))
    screen.press("Enter")
    screen.until_there("threads, the oldest first")
    screen.press("Escape")
    screen.until_there(KEYS)
    screen.press("f")
    screen.type("pool_w")
    screen.until(lambda text: "filter: pool_w_" in text and "consume" not in text)
    screen.press("Escape")
    screen.until(lambda text: "consume" in text)
    screen.press("s")
    screen.until_there("by count)")
    screen.press("?")
    screen.until_there("reading the screen")
    screen.press("q")
    assert "ended by signal" in assert_as_it_was(screen)


def test_pause_holds_the_view_and_w_writes_the_latest(service, screen):
    watch(screen, service.pid, "--every-dump")
    screen.press("p")
    screen.until_there("this is how it was")
    before = service.tell("leak 4")
    screen.until_there("this is how it was 1.")
    assert before not in "\n".join(screen.screen())
    count = selected(screen)
    screen.press("w")
    name = screen.until_there("the report as of now is in ").split("now is in ")[1].split()[0]
    text = (screen.folder / name).read_text()
    assert "it goes on" in text.splitlines()[-1] + text.splitlines()[-2]
    (row,) = (line for line in text.splitlines() if line.endswith(" consume"))
    assert row.split()[:2] == ["7", "+4"]
    assert selected(screen) == count
    screen.press("p")
    screen.until(lambda text: "this is how it was" not in text and "     7     +4" in text)
    screen.press("C-c")
    assert "ended by signal" in assert_as_it_was(screen)
    service.tell("release 4")


def test_a_report_that_cannot_be_written_is_told_and_the_watch_goes_on(service, screen):
    folder = screen.folder / "gone"
    folder.mkdir()
    screen.run("cd gone")
    (folder / "before").symlink_to(screen.folder / "before")
    screen.run(f"rmdir ../gone 2>&1 || rm -r ../gone; {LEAKSCOPE} watch {service.pid} -n 300ms")
    screen.until_there("pool_worker")
    screen.press("w")
    screen.until_there("cannot write to leakscope-")
    screen.press("q")
    screen.until_there("ended by signal")


def test_a_resize_draws_anew_and_leaves_no_scroll_behind(service, screen):
    watch(screen, service.pid)
    for width, height in ((120, 40), (200, 60), (60, 15), (80, 24)):
        screen.resize(width, height)
        screen.until(
            lambda _, h=height: (
                len(lines := screen.screen()) == h
                and lines[0].startswith(f"pid {service.pid}")
                and lines[-1].startswith(KEYS)
                and sum("history" in line for line in lines) == 1
            )
        )
    assert screen.tmux("display-message", "-p", "#{history_size}") == "0\n"
    screen.press("q")
    assert_as_it_was(screen)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["TERM", "HUP"])
def test_a_signal_leaves_the_terminal_as_it_was(service, screen, number):
    watch(screen, service.pid)
    os.kill(leakscope_pid(screen), number)
    assert "ended by signal" in assert_as_it_was(screen)


def test_ctrl_backslash_gives_the_terminal_back_before_it_ends(service, screen):
    screen.run("ulimit -c 0")
    watch(screen, service.pid)
    screen.press("C-\\")
    assert_as_it_was(screen, status=128 + signal.SIGQUIT)


def test_ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_again(service, screen):
    watch_line = f"{LEAKSCOPE} watch {service.pid} -n 300ms"
    screen.run("stty -a >before")
    screen.run(watch_line)
    screen.until_there("pool_worker")
    screen.press("C-z")
    screen.until_there("Stopped")
    screen.run("stty -a >stopped; echo shell $?")
    screen.until_there("shell 0")
    assert Path(screen.folder / "stopped").read_text() == (screen.folder / "before").read_text()
    screen.run("fg")
    screen.until_there(KEYS)
    screen.press("q")
    screen.until_there("ended by signal")
    screen.run("stty -a >after; echo status 0")
    assert_as_it_was(screen)


def test_the_end_of_the_target_closes_the_view(screen):
    with running("leaky_service.py", "--pool", "5", "--requests", "0") as target:
        watch(screen, target.pid)
        target.end()
        assert "the target exited" in assert_as_it_was(screen)


def test_without_a_keyboard_there_is_a_view_all_the_same(service, screen):
    screen.run(f"{LEAKSCOPE} watch {service.pid} -n 300ms </dev/null")
    screen.until_there("Ctrl-C ends the watch and prints its report")
    assert "pool_worker" in "\n".join(screen.screen())
    screen.press("C-c")
    screen.until_there("ended by signal")


def test_words_on_stderr_do_not_land_in_the_view(service, screen):
    watch(screen, service.pid, "-v", "--every-dump")
    text = screen.until_there(" ms  ")
    assert sum(" ms  " in line for line in text.splitlines()) == 1, "the last of them"
    screen.press("k")
    screen.until_there(KEYS)
    screen.until_there(" ms  ")
    screen.press("q")
    assert assert_as_it_was(screen).count(" ms  ") > 2


def test_in_the_background_there_is_no_view(service, screen):
    screen.run(f"{LEAKSCOPE} watch {service.pid} -n 300ms --count 2 & wait; echo over")
    screen.until_there("ended by count")
    assert KEYS not in screen.history()


@pytest.mark.parametrize("locale", ["LC_ALL=C", "LC_ALL= LC_CTYPE= LANG=C"])
def test_in_the_locale_c_all_is_ascii(service, screen, locale):
    screen.run(f"export {locale}")
    watch(screen, service.pid)
    shown = screen.text()
    assert shown.isascii()
    assert "up/down move" in shown
    screen.press("q")
