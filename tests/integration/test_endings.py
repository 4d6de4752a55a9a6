"""However a run ends, it ends as stated: its status, its report or one clear line, no trace."""

from __future__ import annotations

import contextlib
import os
import pty
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import Document, checked, checked_lines, of_type
from tests.integration.faults import FaultyPySpy, is_running
from tests.running import Target, Watching, leakscope_cli, running, watching
from tests.unprivileged import as_nobody, shared_folder

WATCH = (sys.executable, "-m", "leakscope", "watch")

pytestmark = pytest.mark.attach

LEAKSCOPE = f"{shlex.quote(sys.executable)} -m leakscope"
SERVICE = ("leaky_service.py", "--pool", "5", "--requests", "0")
PIPE_CLOSED = 141  # what a shell gives for a program that SIGPIPE has ended


@pytest.fixture(scope="module")
def service() -> Iterator[Target]:
    with running(*SERVICE) as target:
        yield target


@pytest.fixture
def sleeper() -> Iterator[int]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process.pid
        process.kill()


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
    )


def complaint_of(run: subprocess.CompletedProcess[str]) -> str:
    """What a failed run says: one line on stderr, and advice in indented ones; no results."""
    assert run.stdout == ""
    line, *advice = run.stderr.splitlines()
    assert line.startswith("leakscope: "), run.stderr
    assert all(text.startswith("  ") for text in advice), run.stderr
    return line


def report_of(watch: Watching) -> Document:
    """The summary that a watch has ended with."""
    *others, summary = checked_lines("".join(watch.lines))
    assert watch.stderr() == ""
    assert summary["type"] == "summary"
    assert not of_type(others, "summary")
    return summary


# --- a watch is told to end -----------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_a_signal_ends_a_watch_with_its_report(service, number):
    with watching(service.pid) as watch:
        watch.until("sample", 2)
        watch.process.send_signal(number)
        assert watch.status() == 0
    summary = report_of(watch)
    assert (summary["ended_by"], summary["verdict"]) == ("signal", "unknown")
    assert summary["samples"] >= 2


def test_in_the_background_of_a_script_an_interrupt_ends_it_as_well(service, tmp_path):
    """Such a shell has it ignored by what it starts there."""
    report = tmp_path / "report"
    words = ("watch", str(service.pid), "--json", "-o", str(report))
    command = shlex.join([sys.executable, "-m", "leakscope", *words])
    with subprocess.Popen(
        ["sh", "-c", f"{command} & echo $!; wait $!"], stdout=subprocess.PIPE, text=True
    ) as script:
        assert script.stdout is not None
        pid = int(script.stdout.readline())
        wait_for(lambda: report.exists() and '"type":"sample"' in report.read_text())
        os.kill(pid, signal.SIGINT)
        assert script.wait(30) == 0
    assert checked_lines(report.read_text())[-1]["ended_by"] == "signal"


def test_a_signal_does_not_wait_for_the_next_sample(service):
    with watching(service.pid, "--interval", "1h") as watch:
        watch.until("sample")
        watch.process.terminate()
        assert watch.status() == 0
    assert report_of(watch)["samples"] == 1


def test_the_report_of_a_watch_that_was_ended_decides_its_status(service):
    with watching(service.pid, "--fail-on", "unknown") as watch:
        watch.until("sample")
        watch.process.terminate()
        assert watch.status() == 1


@pytest.mark.fault(
    "py-spy and leakscope",
    "Ctrl-C, while py-spy hangs, and again",
    "The first one ends the watch after the dump in flight; the second at once, with status 130.",
)
def test_a_second_ctrl_c_ends_at_once(service, tmp_path):
    faulty = FaultyPySpy(tmp_path, "exec sleep 600", timeout_s=300)
    with watching(service.pid, "--every-dump", "--interval", "100ms", env=faulty.env) as watch:
        watch.until("sample")
        faulty.fail()
        # A dump in flight is finished after the first one, and this one will not finish.
        wait_for(lambda: any(map(is_sleep, faulty.pids)))
        deadline = time.monotonic() + 60
        while watch.process.poll() is None and time.monotonic() < deadline:
            watch.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                watch.process.wait(0.5)
        assert watch.status() == 130
        assert watch.stderr() == ""
    assert not any(is_running(pid) for pid in faulty.pids)


def is_sleep(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "sleep\n"
    except OSError:
        return False


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_ctrl_c_at_a_terminal_closes_the_live_view_and_prints_the_report(service):
    ours, theirs = pty.openpty()
    terminal = shlex.quote(os.ttyname(theirs))
    # A session's leader gets the first terminal that it opens as its own.
    command = f"exec {LEAKSCOPE} watch {service.pid} <{terminal} >{terminal} 2>&1"
    with subprocess.Popen(["sh", "-c", command], start_new_session=True) as process:
        seen = read_until(ours, b"pool_worker")
        os.write(ours, b"\x03")
        seen += read_until(ours, b"ended by signal")
        assert process.wait(60) == 0
    os.close(ours)
    os.close(theirs)
    assert b"Traceback" not in seen
    assert b"unknown: too little was seen" in seen


def read_until(terminal: int, wanted: bytes) -> bytes:
    seen = b""
    while wanted not in seen:
        seen += os.read(terminal, 65536)
    return seen


@pytest.mark.parametrize(
    ("options", "ended_by"), [(("--count", "2"), "count"), (("--duration", "1s"), "duration")]
)
def test_a_watch_ends_by_itself(service, options, ended_by):
    run = leakscope_cli("watch", service.pid, "--json", "-n", "500ms", *options)
    summary = checked_lines(run.stdout)[-1]
    assert (run.returncode, run.stderr) == (0, "")
    assert summary["ended_by"] == ended_by


# --- the target ends ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["killed", "quits"])
@pytest.mark.fault(
    "The target lives its life",
    "it ends by itself during a watch",
    "The watch ends at once with its report: `target exited`.",
)
def test_the_end_of_the_target_ends_a_watch_with_its_report(how):
    with running(*SERVICE) as target, watching(target.pid, "--interval", "500ms") as watch:
        watch.until("sample", 2)
        if how == "killed":
            os.kill(target.pid, signal.SIGKILL)
        else:
            target.end()
        assert watch.status() == 0
    summary = report_of(watch)
    assert summary["ended_by"] == "target exited"
    assert summary["targets"][0]["threads"] == 6
    assert summary["verdict"] == "unknown"


@pytest.mark.parametrize(
    ("options", "status"), [((), 0), (("--fail-on", "growing"), 1), (("--fail-on", "unknown"), 0)]
)
@pytest.mark.fault(
    "The target lives its life",
    "it is killed while it leaks",
    "The report and the status are those of what was seen until then.",
)
def test_the_status_follows_the_verdict_even_if_the_target_ends(options, status):
    with running(*SERVICE) as target, watching(target.pid, "-n", "250ms", *options) as watch:
        watch.until("sample")
        target.tell("autoleak 5")
        while watch.until("change")["verdict"] != "growing":
            pass
        os.kill(target.pid, signal.SIGKILL)
        assert watch.status() == status
    summary = report_of(watch)
    assert (summary["ended_by"], summary["verdict"]) == ("target exited", "growing")


def test_text_says_that_the_target_has_ended():
    with running(*SERVICE) as target:
        watch = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "leakscope",
                "watch",
                str(target.pid),
                "-n",
                "200ms",
                "-v",
                "--every-dump",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert watch.stderr is not None
        calls = (line for line in watch.stderr if "status 0" in line)  # told by -v, of py-spy
        for _ in range(2):  # during the first one, its end would be status 3
            next(calls)
        os.kill(target.pid, signal.SIGKILL)
        stdout, stderr = watch.communicate(timeout=60)
    assert watch.returncode == 0
    assert "ended because the target exited" in stdout
    assert "Traceback" not in stderr


# --- nothing to look at ---------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["dump", "watch"])
@pytest.mark.fault(
    "The target lives its life",
    "it has ended before leakscope came",
    "Status 3: there is no such process.",
)
def test_no_such_process(command):
    with subprocess.Popen(["true"]) as ended:
        pass
    run = leakscope_cli(command, ended.pid)
    assert run.returncode == 3
    assert complaint_of(run) == f"leakscope: there is no process {ended.pid}"


@pytest.mark.parametrize("command", ["dump", "watch"])
@pytest.mark.fault(
    "The target lives its life",
    "it is no Python process",
    "Status 5: says so, and how to find those that are.",
)
def test_not_a_python_process(sleeper, command):
    run = leakscope_cli(command, sleeper)
    assert run.returncode == 5
    assert complaint_of(run).startswith(f"leakscope: process {sleeper} is not a Python process")
    assert len(run.stderr.splitlines()) <= 2


@pytest.mark.parametrize("command", ["dump", "watch"])
@pytest.mark.fault(
    "The target lives its life",
    "it is a zombie when leakscope comes",
    "Status 3: says that it has ended and is a zombie.",
)
def test_a_zombie(command):
    with subprocess.Popen(["true"]) as zombie:
        wait_for(lambda: not is_running(zombie.pid))
        run = leakscope_cli(command, zombie.pid)
    assert run.returncode == 3
    assert "zombie" in complaint_of(run)


@pytest.mark.parametrize("command", ["dump", "watch"])
@pytest.mark.fault(
    "The target lives its life",
    "it is a thread of the kernel",
    "Status 5 (or 3, where it can't be seen), in one line.",
)
def test_a_thread_of_the_kernel(command):
    try:
        flags = int(Path("/proc/2/stat").read_text().rpartition(")")[2].split()[6])
    except OSError:
        pytest.skip("no process 2 in this PID namespace")
    if not flags & 0x00200000:
        pytest.skip("process 2 is no thread of the kernel in this PID namespace")
    run = leakscope_cli(command, 2)
    assert run.returncode in (3, 5)
    complaint_of(run)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can look into; pytest's own is closed to others."""
    with shared_folder() as folder:
        yield folder


@pytest.mark.parametrize("command", ["dump", "watch"])
@pytest.mark.fault(
    "Rights and places",
    "it belongs to another user, and leakscope has no rights",
    "Status 4: says so, with the command line that would do.",
)
def test_a_process_of_another_user(service, open_folder, command):
    run = as_nobody(open_folder, command, str(service.pid), "-o", "-")
    assert run.returncode == 4, run.stderr
    line = complaint_of(run)
    assert line.startswith(f"leakscope: not permitted to look into process {service.pid}")
    assert "sudo /" in run.stderr
    assert f"{command} {service.pid}" in run.stderr


def test_a_process_of_another_user_is_not_listed(service, open_folder):
    run = as_nobody(open_folder, "ps", "--json")
    assert run.returncode == 0
    processes = checked(run.stdout)["processes"]
    assert service.pid not in [process["pid"] for process in processes]


@pytest.mark.fault(
    "Rights and places",
    "leakscope is root without CAP_SYS_PTRACE",
    "Status 4: names the capability, and does not advise sudo.",
)
def test_root_without_the_right_to_trace_is_told_so(service):
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root, and setpriv to give up a right")
    dropped = "setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace"
    # Root may look into its own processes, but not into one that has more rights than it has left.
    run = shell(f"exec {dropped} {LEAKSCOPE} dump {service.pid}")
    assert run.returncode == 4, run.stderr
    assert "SYS_PTRACE" in run.stderr
    assert "sudo" not in run.stderr.splitlines()[1]
    complaint_of(run)


# --- a target that is stopped ---------------------------------------------------------------------


@pytest.fixture
def stopped() -> Iterator[int]:
    with running(*SERVICE) as target:
        os.kill(target.pid, signal.SIGSTOP)
        yield target.pid
        os.kill(target.pid, signal.SIGCONT)


@pytest.mark.fault(
    "The target lives its life",
    "it is stopped (SIGSTOP) when leakscope comes",
    "It is looked at as ever, and stays stopped.",
)
def test_a_stopped_target_can_be_looked_at(stopped):
    run = leakscope_cli("dump", stopped, "--json")
    assert (run.returncode, run.stderr) == (0, "")
    assert checked(run.stdout)["targets"][0]["threads"] == 6
    assert not is_running_freely(stopped)


@pytest.mark.parametrize("command", [("dump",), ("watch", "--count", "2")], ids=" ".join)
def test_a_stopped_target_cannot_be_looked_at_with_blocking(stopped, command):
    run = leakscope_cli(*command, stopped, "--blocking")
    assert run.returncode == 5
    complaint_of(run)
    assert not is_running_freely(stopped)


@pytest.mark.parametrize("command", [("dump",), ("watch", "--count", "1")], ids=" ".join)
@pytest.mark.fault(
    "The target lives its life",
    "it is stopped when leakscope comes with `--blocking`",
    "Status 5: a blocking dump of a stopped process cannot be made; it stays stopped.",
)
def test_a_blocking_look_at_a_stopped_target_says_what_is_wrong(stopped, command):
    run = leakscope_cli(*command, stopped, "--blocking")
    assert "is stopped" in complaint_of(run)


def is_running_freely(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "Tt"


@pytest.mark.fault(
    "The target lives its life",
    "it is stopped and continued during a watch with `--blocking`",
    "Missed samples that say so; the watch goes on.",
)
def test_a_target_stopped_in_a_blocking_watch_is_a_gap():
    with running(*SERVICE) as target:
        with watching(target.pid, "--blocking", "-n", "200ms") as watch:
            watch.until("sample")
            os.kill(target.pid, signal.SIGSTOP)
            missed = watch.until("missed")
            os.kill(target.pid, signal.SIGCONT)
            watch.until("sample")
            watch.process.terminate()
            assert watch.status() == 0
        assert target.tell("count") == "leaked 0"
    assert "is stopped" in missed["reason"]
    assert report_of(watch)["missed"] >= 1


# --- usage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [
        ("watch", "pid"),
        ("watch", "0"),
        ("watch", "-1"),
        ("watch", "1.5"),
        ("watch", str(2**31)),
        ("watch", "1", "--duration", "soon"),
        ("watch", "1", "--duration", "-5s"),
        ("watch", "1", "--duration", "5 parsecs"),
        ("watch", "1", "--duration", "nan"),
        ("watch", "1", "--interval", "0"),
        ("watch", "1", "--interval", ""),
        ("watch", "1", "--count", "0"),
        ("watch", "1", "--fail-on", "clean"),
        ("watch", "1", "--bogus"),
        ("dump", "1", "--format", "xml"),
        ("dump", "1", "--ignore", "("),
        ("dump", "1", "--group-by", "colour"),
        ("dump", "1", "-o"),
        ("dump", "1", "-o", "/tmp"),
        ("ps", "1"),
        ("leak",),
        (),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line(args):
    run = leakscope_cli(*args)
    assert (run.returncode, run.stdout) == (2, "")
    assert "Usage: " in run.stderr or "Error: " in run.stderr
    assert "Traceback" not in run.stderr


def test_a_wrong_value_from_the_environment_is_named():
    run = leakscope_cli("watch", "1", env={"LEAKSCOPE_INTERVAL": "often"})
    assert (run.returncode, run.stdout) == (2, "")
    assert "LEAKSCOPE_INTERVAL" in run.stderr


# --- where results go -----------------------------------------------------------------------------


WRITERS = [("dump",), ("dump", "--json"), ("watch", "--count", "2", "-n", "100ms"),
           ("watch", "--count", "2", "-n", "100ms", "--json")]  # fmt: skip


@pytest.mark.parametrize("command", WRITERS, ids=" ".join)
@pytest.mark.fault("Input and output", "the disk is full (/dev/full)", "Status 2 and one line.")
def test_a_full_disk(service, command):
    run = leakscope_cli(*command, service.pid, "-o", "/dev/full")
    assert run.returncode == 2
    expected = "leakscope: cannot write to /dev/full: No space left on device"
    assert complaint_of(run) == expected
    assert run.stderr.splitlines() == [expected]


@pytest.mark.parametrize("command", [*WRITERS, ("ps",), ("schema",)], ids=" ".join)
@pytest.mark.fault(
    "Input and output", "the disk behind standard output is full", "Status 2 and one line."
)
def test_a_full_disk_behind_stdout(service, command):
    pid = "" if command in (("ps",), ("schema",)) else str(service.pid)
    run = shell(f"exec {LEAKSCOPE} {' '.join(command)} {pid} >/dev/full")
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1
    assert "No space left on device" in complaint_of(run)


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_a_full_disk_behind_the_help(option):
    run = shell(f"exec {LEAKSCOPE} {option} >/dev/full")
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1
    assert "No space left on device" in complaint_of(run)


@pytest.mark.parametrize("command", WRITERS, ids=" ".join)
def test_a_missing_folder(service, tmp_path, command):
    path = tmp_path / "missing" / "report"
    run = leakscope_cli(*command, service.pid, "-o", path)
    assert run.returncode == 2
    assert complaint_of(run) == f"leakscope: cannot write to {path}: No such file or directory"
    assert not path.parent.exists()


def test_a_missing_folder_is_found_before_the_watch(service, tmp_path):
    path = tmp_path / "missing" / "report"
    run = leakscope_cli("watch", service.pid, "--count", "2", "-n", "100ms", "-v", "-o", path)
    assert run.returncode == 2
    assert "status 0" not in run.stderr  # of a py-spy


@pytest.mark.parametrize("command", WRITERS, ids=" ".join)
@pytest.mark.fault(
    "Input and output",
    "a look fails that was to replace a report",
    "The older report stays as it was.",
)
def test_a_failure_leaves_files_as_they_were(sleeper, tmp_path, command):
    kept = tmp_path / "kept"
    kept.write_text("an older report\n")
    for path in (kept, tmp_path / "new"):
        assert leakscope_cli(*command, sleeper, "-o", path).returncode == 5
    assert kept.read_text() == "an older report\n"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", WRITERS, ids=" ".join)
def test_results_go_into_a_file_and_nowhere_else(service, tmp_path, command):
    run = leakscope_cli(*command, service.pid, "-o", tmp_path / "report")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert (tmp_path / "report").read_text().endswith("\n")


# --- pipes ----------------------------------------------------------------------------------------


@pytest.mark.fault(
    "Input and output",
    "the reader of a pipe leaves after a line",
    "Ends as a filter does, silently, with status 141.",
)
def test_a_reader_that_leaves_after_a_line(service):
    run = shell(
        f"{LEAKSCOPE} watch {service.pid} --json -n 200ms | head -n 1; echo ${{PIPESTATUS[0]}}"
    )
    line, status = run.stdout.splitlines()
    assert checked(line)["type"] == "start"
    assert (int(status), run.stderr) == (PIPE_CLOSED, "")


@pytest.mark.parametrize(
    "command",
    [
        "dump {pid}",
        "dump {pid} --json",
        "watch {pid} --count 2 -n 100ms",
        "ps",
        "schema",
        pytest.param("--help"),
    ],
)
def test_a_reader_that_has_gone(service, command):
    # The sleep sees to it that nobody reads any more.
    run = shell(
        f"(sleep 1; exec {LEAKSCOPE} {command.format(pid=service.pid)}; ) | true;"
        " echo ${PIPESTATUS[0]}"
    )
    assert run.stderr == ""
    assert run.stdout == f"{PIPE_CLOSED}\n"


def test_each_line_of_a_watch_comes_at_once(service):
    with watching(service.pid, "--interval", "1h") as watch:
        watch.until("sample")  # though the watch goes on for an hour
        assert watch.process.poll() is None
        watch.process.terminate()
        assert watch.status() == 0


CLOSED = ["dump {pid}", "dump {pid} --json", "watch {pid} --count 2 -n 100ms", "ps", "--help"]


@pytest.mark.parametrize("command", CLOSED)
@pytest.mark.fault(
    "Input and output", "standard output is closed", "No traceback: at most one line."
)
def test_a_closed_stdout_is_no_fault_of_the_program(service, command):
    run = shell(f"exec {LEAKSCOPE} {command.format(pid=service.pid)} >&-")
    assert run.returncode in (0, 2, PIPE_CLOSED)
    assert "Traceback" not in run.stderr
    assert len(run.stderr.splitlines()) <= 1


def test_a_closed_stderr(service):
    run = shell(f"exec {LEAKSCOPE} dump {service.pid} 2>&-")
    assert (run.returncode, run.stdout.partition(" ")[0]) == (0, "thread")


def test_a_closed_stdin(service):
    run = shell(f"exec {LEAKSCOPE} dump {service.pid} <&-")
    assert (run.returncode, run.stderr) == (0, "")
