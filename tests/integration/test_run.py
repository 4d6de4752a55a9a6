"""`leakscope run`: a program has its streams, its signals and its status; and it is watched."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from leakscope.sources.advice import yama_scope
from leakscope.sources.program import _allowing_to_trace, started
from tests.documents import Document, checked_lines, group_at, of_type
from tests.running import PROGRAMS, leakscope_cli
from tests.unprivileged import anyones_python, as_nobody, shared_folder

pytestmark = pytest.mark.attach

SERVICE = [sys.executable, str(PROGRAMS / "leaky_service.py"), "--pool", "3", "--requests", "0"]
# It says what came to it. The second signal of each kind would end it in another way.
TOLD = """
import signal, sys, time
def told(number, frame):
    global latest
    latest = time.monotonic()
    numbers.append(number)
numbers, latest = [], None
for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
    signal.signal(getattr(signal, name), told)
print("ready", flush=True)
while latest is None or time.monotonic() < latest + 0.5:
    time.sleep(0.02)
print(numbers)
sys.exit(7)
"""
ENDS_WITHIN_S = 30.0


def run_command(*args: str) -> list[str]:
    return [sys.executable, "-m", "leakscope", "run", *args]


@contextlib.contextmanager
def run(*args: str, launcher: Sequence[str] = ()) -> Iterator[subprocess.Popen[str]]:
    """A `leakscope run` that goes on; it is killed with the block, should it not have ended."""
    with subprocess.Popen(
        [*launcher, *run_command(*args)],
        start_new_session=True,  # it is at no terminal, wherever the tests are
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str], command: str | None = None) -> str:
    """The next line that the program writes, once it was told something."""
    assert process.stdin is not None
    assert process.stdout is not None
    if command is not None:
        process.stdin.write(command + "\n")
        process.stdin.flush()
    return process.stdout.readline().rstrip("\n")


def summary_of(path: Path) -> Document:
    return checked_lines(path.read_text())[-1]


# --- streams, status ------------------------------------------------------------------------------


def test_streams_and_status_are_those_of_the_program():
    script = "import sys; print(input().upper()); print('a word', file=sys.stderr); exit(7)"
    done = leakscope_cli("run", "--", sys.executable, "-c", script, input="in\n")
    assert (done.returncode, done.stdout) == (7, "IN\n")
    said, *report = done.stderr.splitlines()
    assert said == "a word"
    assert report[0].startswith("unknown: ")
    assert "ended because the target exited" in done.stderr


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["true"], 0),
        (["--fail-on", "unknown", "true"], 1),
        (["--fail-on", "unknown", "sh", "-c", "exit 3"], 3),
        (["--", "sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM),
        (["leakscope-no-such-program"], 127),
        ([""], 2),
        (["/etc/passwd"], 126),
    ],
    ids=lambda value: shlex.join(value) if isinstance(value, list) else str(value),
)
def test_the_status_tells_how_it_ended(words, status):
    done = leakscope_cli("run", *words)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr


def test_a_script_that_does_not_say_what_for_is_run_by_the_shell(tmp_path):
    script = tmp_path / "script"
    script.write_text('echo "$1"; exit 3\n')
    script.chmod(0o755)
    done = leakscope_cli("run", "-q", "-o", os.devnull, script, "a word")
    assert (done.returncode, done.stdout) == (3, "a word\n"), done.stderr


def test_nothing_is_started_where_the_report_could_not_be_written(tmp_path):
    trace = tmp_path / "trace"
    done = leakscope_cli("run", "-o", tmp_path / "no" / "report", "--", "touch", trace)
    assert done.returncode == 2
    assert not trace.exists()


def test_nothing_is_started_where_the_baseline_cannot_be_read_and_ci_is_told(tmp_path):
    trace, case = tmp_path / "trace", tmp_path / "case.xml"
    case.write_text('<testsuite failures="0"/>\n')  # of a run that passed
    options = ("--baseline", tmp_path / "none.json", "--junit", case)
    done = leakscope_cli("run", *options, "--", "touch", trace)
    assert (done.returncode, trace.exists()) == (2, False)
    assert '<error message="cannot read ' in case.read_text()


def test_what_leakscope_was_handed_open_is_the_programs_too():
    reader, writer = os.pipe()
    script = f"import os; os.write({writer}, b'hello')"
    done = subprocess.run(
        run_command("-q", sys.executable, "-c", script),
        pass_fds=[writer],
        capture_output=True,
        check=False,
    )
    os.close(writer)
    with open(reader, encoding="ascii") as pipe:
        assert (done.returncode, pipe.read()) == (0, "hello")


@pytest.mark.fault(
    "Input and output",
    "`run`: whoever reads standard error has gone",
    "The program goes on to its end; the status is its own, or 141 where that is 0.",
)
def test_a_reader_that_has_gone_does_not_change_the_programs_status():
    reader, writer = os.pipe()
    os.close(reader)
    for words, status in (["sh", "-c", "exit 3"], 3), (["true"], 141):
        done = subprocess.run(run_command("-q", *words), stderr=writer, check=False)
        assert done.returncode == status
    os.close(writer)


FOR_A_WHILE = [sys.executable, "-c", "import time; time.sleep(2.5)"]


def recorded_samples(tape: Path) -> int:
    (replayed,) = checked_lines(leakscope_cli("replay", tape, "--json").stdout)
    assert replayed["ended_by"] == "target exited"
    return int(replayed["samples"])


@pytest.mark.fault(
    "Input and output",
    "`run`: the report cannot be written, because its disk is full or its reader left after a line",
    "The watch goes on, and so does `--exit-on-leak`; all else that was asked for is written. What "
    "could not be is said at once. The status is the program's, or 2 or 141 where that is 0.",
)
@pytest.mark.parametrize(
    ("display", "status"),
    [("-o /dev/full", 2), ("2>&1 | head -n 1", 141), ("-v 2>&1 | head -n 1", 141)],
    ids=["a full disk", "a reader that leaves", "a reader that leaves the log"],
)
def test_a_report_that_cannot_be_written_does_not_end_the_watch(tmp_path, display, status):
    tape, page, case = (tmp_path / name for name in ("tape.jsonl", "page.html", "case.xml"))
    into, _, reader = display.partition("2>")
    options = f"--json -n 200ms {into} --record {tape} --html {page} --junit {case}"
    command = shlex.join([*run_command(*shlex.split(options)), *FOR_A_WHILE])
    done = subprocess.run(
        ["bash", "-c", f"{command} {'2>' * bool(reader)}{reader}; exit $PIPESTATUS"],
        capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert done.returncode == status, done
    assert recorded_samples(tape) > 5
    assert page.exists()
    assert case.exists()
    if not reader:
        (said,) = done.stderr.splitlines()
        assert said.startswith("leakscope: cannot write to /dev/full: ")


def test_what_is_beside_the_report_is_written_though_one_of_it_cannot_be(tmp_path):
    page = tmp_path / "page.html"
    done = leakscope_cli("run", "-q", "--junit", "/dev/full", "--html", page, "--", "true")
    assert (done.returncode, page.exists()) == (2, True)
    assert done.stderr.count("cannot write to /dev/full") == 1


def test_a_recording_on_a_full_disk_does_not_leave_a_program_unwatched(tmp_path):
    options = ("--json", "-n", "200ms", "-o", tmp_path / "report", "--record", "/dev/full")
    done = leakscope_cli("run", *options, *FOR_A_WHILE)
    assert done.returncode == 2
    assert done.stderr.count("cannot write to /dev/full") == 1
    assert summary_of(tmp_path / "report")["samples"] > 5


# --- signals --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_is_passed_on_and_the_report_comes_all_the_same(number, tmp_path):
    with run("-o", str(tmp_path / "report"), "--json", sys.executable, "-c", TOLD) as process:
        assert line_of(process) == "ready"
        process.send_signal(number)
        assert line_of(process) == f"[{int(number)}]"
        assert process.wait(ENDS_WITHIN_S) == 7
    assert summary_of(tmp_path / "report")["ended_by"] == "target exited"


def type_it(_process: subprocess.Popen[str], keyboard: int) -> None:
    os.write(keyboard, b"\x03")


def send_it(process: subprocess.Popen[str], _keyboard: int) -> None:
    process.send_signal(signal.SIGINT)


@pytest.mark.fault(
    "The target lives its life",
    "`run`: Ctrl-C is typed, or its signal sent to leakscope, and the program goes on for a while",
    "The program gets it once; the watch goes on until the program ends, and then reports.",
)
@pytest.mark.parametrize("interrupt", [type_it, send_it])
def test_in_a_terminal_an_interrupt_reaches_the_program_once(interrupt):
    master, terminal = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    with subprocess.Popen(
        run_command("--", sys.executable, "-c", TOLD),
        stdin=terminal,
        stdout=terminal,
        stderr=subprocess.PIPE,
        preexec_fn=take_terminal,
        text=True,
    ) as process:
        os.close(terminal)
        said = os.read(master, 100)
        assert said.split() == [b"ready"]
        interrupt(process, master)
        assert process.stderr is not None
        report = process.stderr.read()
        assert process.wait(ENDS_WITHIN_S) == 7
    said = os.read(master, 100)
    os.close(master)
    assert b"[2]" in said  # once
    assert "ended because the target exited" in report


# What a launcher may leave behind for what it executes.
IGNORING = """
import os, signal, sys
for name in sys.argv[1].split(","):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def ignoring(*names: str) -> tuple[str, ...]:
    return (sys.executable, "-c", IGNORING, ",".join(names))


@pytest.mark.fault(
    "The target lives its life",
    "`run`: whoever started leakscope ignores the signal that tells of a child's end (SIGCHLD)",
    "The status is the program's own all the same, and the program ignores that signal as well.",
)
def test_whoever_ignores_its_children_is_told_the_status_all_the_same():
    script = "import signal; print(signal.getsignal(signal.SIGCHLD).name); exit(7)"
    with run("-q", "--", sys.executable, "-c", script, launcher=ignoring("SIGCHLD")) as process:
        assert line_of(process) == "SIG_IGN"
        assert process.wait(ENDS_WITHIN_S) == 7


def test_where_all_signals_are_ignored_the_status_is_the_programs():
    every = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")
    with run("-q", "--", "sh", "-c", "exit 3", launcher=ignoring(*every)) as process:
        assert process.wait(ENDS_WITHIN_S) == 3, process.stderr and process.stderr.read()


def test_what_is_ignored_where_leakscope_was_started_stays_so(tmp_path):
    report = tmp_path / "report"
    options = ("-o", str(report), "--json", "--", sys.executable, "-c", TOLD)
    with run(*options, launcher=ignoring("SIGINT")) as process:
        assert line_of(process) == "ready"
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        assert line_of(process) == f"[{int(signal.SIGTERM)}]"
        assert process.wait(ENDS_WITHIN_S) == 7
    assert summary_of(report)["ended_by"] == "target exited"


# A signal to leakscope ends neither it nor its report, whatever it means to the program.
ANY = """
import signal, sys, time
def told(number, frame):
    print(number, flush=True)
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, told)
print("ready", flush=True)
while True:
    time.sleep(60)
"""
FOR_ANOTHER = ("ALRM", "VTALRM", "TTIN", "TTOU", "TSTP", "CONT", "WINCH", "ABRT", "RTMIN", "RTMAX")


@pytest.mark.fault(
    "The target lives its life",
    "`run`: signals of all kinds are sent to leakscope: SIGALRM, SIGTTIN, SIGWINCH, for real time",
    "The program gets each of them, and leakscope goes on.",
)
def test_what_is_meant_for_the_program_is_passed_on_whatever_it_is(tmp_path):
    report = tmp_path / "report"
    with run("-o", str(report), "--json", "--", sys.executable, "-c", ANY) as process:
        assert line_of(process) == "ready"
        for name in FOR_ANOTHER:
            number = getattr(signal, f"SIG{name}")
            process.send_signal(number)
            assert line_of(process) == str(int(number)), name
        only_program(process).kill()
        assert process.wait(ENDS_WITHIN_S) == 128 + signal.SIGKILL
    assert summary_of(report)["ended_by"] == "target exited"


def only_program(process: subprocess.Popen[str]) -> psutil.Process:
    """What a `leakscope run` has started, of those that it has for itself."""
    return program_of(psutil.Process(process.pid))


def program_of(leakscope: psutil.Process) -> psutil.Process:
    (program,) = (one for one in leakscope.children() if is_program(one, leakscope.cmdline()))
    return program


def is_program(child: psutil.Process, of_leakscope: list[str]) -> bool:
    # What has been forked and not executed anything yet still looks like leakscope.
    with contextlib.suppress(psutil.Error):  # a py-spy, say, that has just ended
        return child.cmdline() not in ([], ["cat"], of_leakscope) and "py-spy" not in child.name()
    return False


def test_a_signal_for_real_time_is_passed_on_as_often_as_it_came():
    script = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN})
print("ready", flush=True)
for _ in range(3):
    print(signal.sigwait({signal.SIGRTMIN}), flush=True)
"""
    with run("-q", "-o", os.devnull, "--", sys.executable, "-c", script) as process:
        assert line_of(process) == "ready"
        for _ in range(3):
            process.send_signal(signal.SIGRTMIN)
        assert [line_of(process) for _ in range(3)] == [str(int(signal.SIGRTMIN))] * 3
        assert process.wait(ENDS_WITHIN_S) == 0


# A second signal would cut the cleaning up short.
CLEANING_UP = """
import time
try:
    print("ready", flush=True)
    time.sleep(60)
finally:
    time.sleep(0.7)
    print("cleaned up", flush=True)
"""


@pytest.mark.fault(
    "The target lives its life",
    "`run`: a signal is sent to the whole process group, as `timeout` does, or to each process",
    "The program gets it once.",
)
@pytest.mark.parametrize("to", ["the group", "the group, and leakscope first", "each"])
def test_what_reaches_the_program_as_well_is_not_passed_on(to):
    words = ("-q", "-o", os.devnull, sys.executable, "-c", CLEANING_UP)
    with run(*words) as process:
        assert line_of(process) == "ready"
        if to.endswith("first"):
            process.send_signal(signal.SIGINT)
        if to == "each":
            for one in psutil.Process(process.pid).children():
                one.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGINT)
        else:
            os.killpg(process.pid, signal.SIGINT)
        assert line_of(process) == "cleaned up"
        assert process.wait(ENDS_WITHIN_S) in (1, 128 + signal.SIGINT)


def witnesses(leakscope: int) -> list[psutil.Process]:
    found = []
    for one in psutil.Process(leakscope).children():
        with contextlib.suppress(psutil.Error):  # a py-spy, say, that has just ended
            if one.name() == "cat":
                found.append(one)
    return found


def test_the_witness_ends_with_leakscope_even_if_that_is_killed():
    with run("-q", "-o", os.devnull, "sh", "-c", "echo $$; sleep 60") as process:
        program = psutil.Process(int(line_of(process)))
        until(lambda: bool(witnesses(process.pid)))
        (witness,) = witnesses(process.pid)
        process.kill()
        process.wait(ENDS_WITHIN_S)
        until(lambda: has_ended(witness))
        assert not has_ended(program)
        for one in (*program.children(), program):
            one.kill()


# A shell with job control, as far as it matters here: it waits for a job to end or to stop.
JOB_CONTROL = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
terminal = os.open("/dev/tty", os.O_RDWR)
job = os.fork()
if not job:
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execvp(sys.argv[1], sys.argv[1:])
while True:
    _, status = os.waitpid(job, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        break
    os.tcsetpgrp(terminal, os.getpgrp())
    print("stopped", flush=True)
    input()
    os.tcsetpgrp(terminal, job)
    os.killpg(job, signal.SIGCONT)
os.tcsetpgrp(terminal, os.getpgrp())
print("status", os.waitstatus_to_exitcode(status), flush=True)
"""
COUNTING = """
import time
for n in range(10**6):
    print("tick", flush=True)
    time.sleep(0.1)
"""


@contextlib.contextmanager
def in_a_terminal(*words: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process that leads a session at a terminal, and the keyboard of that."""
    keyboard, terminal = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)

    with subprocess.Popen(
        words, stdin=terminal, stdout=terminal, stderr=terminal, preexec_fn=take_terminal
    ) as process:
        os.close(terminal)
        try:
            yield process, keyboard
        finally:
            for one in psutil.Process(process.pid).children(recursive=True):
                one.kill()
            process.kill()
            os.close(keyboard)


def read_until(handle: int, word: bytes) -> bytes:
    """What a terminal shows, until it shows this."""
    said = b""
    deadline = time.monotonic() + ENDS_WITHIN_S
    while word not in said:
        ready, _, _ = select.select([handle], [], [], max(deadline - time.monotonic(), 0))
        assert ready, f"no {word!r} in {said!r}"
        said += os.read(handle, 4096)
    return said


@pytest.mark.fault(
    "The target lives its life",
    "`run`: Ctrl-Z is typed, or the program stops itself, and `fg` follows",
    "leakscope and the program stop, so that the shell says so, and both go on.",
)
@pytest.mark.parametrize("how", ["Ctrl-Z", "SIGTSTP to leakscope", "SIGSTOP to the program"])
def test_in_a_terminal_both_stop_and_go_on(how):
    words = (*run_command("-q", "-o", os.devnull), sys.executable, "-c", COUNTING)
    with in_a_terminal(sys.executable, "-c", JOB_CONTROL, *words) as (shell, keyboard):
        for _ in range(2):
            read_until(keyboard, b"tick")
            (job,) = psutil.Process(shell.pid).children()
            program = program_of(job)
            if how == "Ctrl-Z":
                os.write(keyboard, b"\x1a")
            elif how == "SIGTSTP to leakscope":
                job.send_signal(signal.SIGTSTP)
            else:
                program.send_signal(signal.SIGSTOP)
            read_until(keyboard, b"stopped")
            assert {job.status(), program.status()} == {psutil.STATUS_STOPPED}
            os.write(keyboard, b"\n")
        read_until(keyboard, b"tick")
        os.write(keyboard, b"\x03")
        read_until(keyboard, b"status 130")


def test_a_program_that_somebody_stops_where_no_shell_waits_is_watched_on(tmp_path):
    report = tmp_path / "report"
    options = ("-n", "200ms", "--json", "-o", str(report))
    with run(*options, *SERVICE) as process:
        assert line_of(process) == "ready"
        until(lambda: bool(latest_sizes(report)))
        only_program(process).suspend()
        lines = len(report.read_text().splitlines())
        until(lambda: len(report.read_text().splitlines()) > lines + 3)
        only_program(process).resume()
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(ENDS_WITHIN_S) == 0


# In a process of its own: a signal goes to any thread that does not hold it back, and the tests
# have threads.
HELD = """
import os, signal
from leakscope.sources.program import started
def held():
    return signal.pthread_sigmask(signal.SIG_BLOCK, ())
with started(["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.01; done"]) as program:
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGUSR1} <= held()
    os.kill(os.getpid(), signal.SIGTERM)
    # It may not have said yet what it minds.
    assert program.wait() in (5, 128 + signal.SIGTERM)
    assert {signal.SIGINT, signal.SIGTERM}.isdisjoint(held())
    assert signal.SIGUSR1 in held()  # which was for the program
    os.kill(os.getpid(), signal.SIGUSR1)
assert signal.SIGUSR1 not in held()
print("alive")
"""


def test_signals_are_the_programs_until_its_end_and_then_leakscopes():
    done = subprocess.run(
        [sys.executable, "-c", HELD], capture_output=True, check=False, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "alive\n", "")


# --- what is watched ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    ["sleep 0.7; {service}; true", "sleep 0.7; exec {service}"],
    ids=["a child of a shell", "what the shell becomes"],
)
def test_a_python_that_is_started_later_is_watched(script, tmp_path):
    report, tape = tmp_path / "report", tmp_path / "tape.jsonl"
    script = script.format(service=shlex.join(SERVICE))
    options = ("-n", "200ms", "--every-dump", "--json", "-o", str(report), "--record", str(tape))
    with run(*options, "sh", "-c", script) as process:
        assert line_of(process) == "ready"
        assert line_of(process, "leak 5") == "leaked 5"
        until(lambda: 5 in latest_sizes(report))
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(ENDS_WITHIN_S) == 0
    summary = summary_of(report)
    assert group_at(summary, "consume")["count"] == 5
    assert any("not Python" in line for line in summary["not_seen"])
    replayed = checked_lines(leakscope_cli("replay", tape, "--json").stdout)[-1]
    assert replayed["groups"] == summary["groups"]


@pytest.mark.slow
def test_with_exit_on_leak_all_that_was_started_is_ended(tmp_path):
    report = tmp_path / "report"
    told = tmp_path / "told"
    options = ("--exit-on-leak", "--on-leak", f"cat > {told}", "--json", "-o", str(report))
    with run(*options, "sh", "-c", f"{shlex.join(SERVICE)}; true") as process:
        assert line_of(process) == "ready"
        assert line_of(process, "autoleak 2") == "leaking 2 per second"
        (shell,) = (one for one in psutil.Process(process.pid).children() if one.children())
        (service,) = shell.children()
        assert process.wait(60) == 1
    until(lambda: has_ended(service))
    summary = summary_of(report)
    assert (summary["verdict"], summary["ended_by"]) == ("leaking", "leak")
    (document,) = checked_lines(told.read_text())
    assert document["leak"]["id"] == summary["leaks"][0]["id"]
    assert [target["pid"] for target in document["targets"]] == [service.pid]


@pytest.mark.parametrize(
    ("traps", "status"),
    [
        ("trap 'exit 4' INT; trap 'exit 5' TERM", 4),
        ("trap '' INT; trap 'exit 5' TERM", 5),
        ("trap '' INT TERM", 128 + signal.SIGKILL),
    ],
    ids=["heeds Ctrl-C", "heeds SIGTERM", "does not heed"],
)
def test_what_is_ended_is_asked_first_and_then_killed(traps, status):
    with started(["sh", "-c", f"{traps}; sleep 60 & echo; wait; wait"]) as program:
        shell = psutil.Process(program.pid)
        until(lambda: bool(shell.children()))
        (child,) = shell.children()
        program.end((0.2, 0.5))
        assert program.wait() == status
    until(lambda: has_ended(child))


KILLING = """
import os, sys, time
from leakscope.sources.program import started
script = "trap '' INT TERM; : >$0; while :; do sleep 0.01; done"
with started(["sh", "-c", script, sys.argv[1]]) as program:
    while not os.path.exists(sys.argv[1]):
        time.sleep(0.01)
    program.end((0.1, 0.1))
    print("status", program.wait())
"""


def test_at_a_terminal_what_is_stopped_to_be_killed_does_not_stop_leakscope(tmp_path):
    with in_a_terminal(sys.executable, "-c", KILLING, str(tmp_path / "ready")) as (_, keyboard):
        assert b"status 137" in read_until(keyboard, b"status 137")


def test_where_ctrl_c_is_ignored_a_program_is_asked_by_sigterm_at_once():
    script = """
import sys
from leakscope.sources.program import started
with started(["sh", "-c", "trap 'exit 5' TERM; echo; while :; do sleep 0.01; done"]) as program:
    sys.stdin.readline()
    program.end((60.0, 60.0))
    print(program.wait())
"""
    done = subprocess.Popen(
        [*ignoring("SIGINT"), sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with done as process:
        assert line_of(process) == ""
        assert line_of(process, "end it") == "5"
        assert process.wait(ENDS_WITHIN_S) == 0


def test_what_runs_for_a_second_is_looked_at_however_far_apart_samples_are(tmp_path):
    report = tmp_path / "report"
    words = (sys.executable, "-c", "import time; time.sleep(1.5)")
    done = leakscope_cli("run", "-n", "30s", "--json", "-o", report, "--", *words)
    assert done.returncode == 0, done.stderr
    assert of_type(checked_lines(report.read_text()), "sample")


def latest_sizes(report: Path) -> list[int]:
    """How big the groups are in the latest sample that was written, if there is one."""
    written = report.read_text().splitlines(keepends=True) if report.exists() else []
    whole = [json.loads(line) for line in written if line.endswith("\n")]
    samples = of_type(whole, "sample")
    return list(samples[-1]["groups"].values()) if samples else []


def has_ended(process: psutil.Process) -> bool:
    """Whether it is no more, or a zombie that nobody reaps."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + ENDS_WITHIN_S
    while not done():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.01)


# --- rights ---------------------------------------------------------------------------------------


@pytest.mark.fault(
    "Rights and places",
    "`run` without CAP_SYS_PTRACE",
    "The program is looked at as ever: leakscope has started it.",
)
def test_without_the_right_to_trace_it_looks_at_what_it_started(tmp_path):
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root, and setpriv to give up a right")
    dropped = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace")
    assert group_at(watched_by(dropped, tmp_path), "pool_worker")["count"] == 3


# It may be looked at by nobody but root.
CLOSED = "import ctypes, time; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); time.sleep(1.2)"


@pytest.mark.fault(
    "Process trees",
    "`run`: a process may not be looked at (PR_SET_DUMPABLE), and ends before the others",
    "One line says so at once, and the report names it under `not seen`.",
)
def test_one_that_may_not_be_looked_at_is_named_though_it_has_ended():
    python = anyones_python()
    readable = shlex.join([str(python), "-c", "import time; time.sleep(4)"])
    closed = shlex.join([str(python), "-c", CLOSED])
    with shared_folder() as folder:
        options = ("-n", "200ms", "--json", "-o", "/dev/stdout")
        script = f"{readable} & {closed}; wait"
        done = as_nobody(folder, "run", *options, "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    (said,) = done.stderr.splitlines()
    assert said.startswith("leakscope: not permitted to look into process ")
    assert said.endswith("; the program goes on")
    summary = checked_lines(done.stdout)[-1]
    assert len(summary["targets"]) == 1
    assert [line for line in summary["not_seen"] if "not permitted to look into" in line]


def test_under_yama_it_looks_at_what_it_started(tmp_path):
    if yama_scope() != 1:
        pytest.skip(
            f"kernel.yama.ptrace_scope is {yama_scope()} here (None: no Yama), and not 1; "
            "test_yama.py boots a kernel that has it"
        )
    dropped = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace")
    seen = watched_by(dropped if os.geteuid() == 0 else (), tmp_path)
    assert group_at(seen, "pool_worker")["count"] == 3


def watched_by(launcher: Sequence[str], folder: Path) -> Document:
    """What a `leakscope run` that began so says of a service."""
    report = folder / "report"
    with run("-n", "200ms", "--json", "-o", str(report), *SERVICE, launcher=launcher) as process:
        assert line_of(process) == "ready"
        until(lambda: 3 in latest_sizes(report))
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(ENDS_WITHIN_S) == 0, process.stderr and process.stderr.read()
    return summary_of(report)


def test_the_program_allows_leakscope_to_trace_it(monkeypatch):
    asked: list[tuple[int, ...]] = []

    class Libc:
        def __init__(self, name):
            assert name is None

        @staticmethod
        def prctl(option, *words):
            asked.append((option, *(word.value for word in words)))
            return -1  # as where there is no Yama

    monkeypatch.setattr(ctypes, "CDLL", Libc)
    allow = _allowing_to_trace(4711)
    assert allow is not None
    allow()
    assert asked == [(0x59616D61, 4711, 0, 0, 0)]  # PR_SET_PTRACER of linux/prctl.h


@pytest.mark.parametrize("words", [("--on-leak", "curl hush"), ("--on-leak=curl hush",)])
def test_the_command_of_on_leak_is_masked_where_the_report_is_passed_around(words):
    done = leakscope_cli("run", *words, "--", "echo", "--on-leak", "shown")
    assert "hush" not in done.stderr
    assert "***" in done.stderr
    assert "-- echo --on-leak shown" in done.stderr
