"""`watch --listen` and `--textfile` as a person calls them; test_fleet.py has them scraped."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import urllib.error
from pathlib import Path

import click
import pytest

from leakscope.commands import exporting
from leakscope.errors import UsageProblem
from tests.builders import report
from tests.prometheus import fetched
from tests.running import leakscope_cli, running, watching

pytestmark = pytest.mark.attach

SERVICE = ("leaky_service.py", "--pool", "3", "--requests", "0")
SHORT = ("--count", "2", "-n", "200ms", "--json")


@pytest.fixture(scope="module")
def service():
    with running(*SERVICE) as target:
        yield target


def test_by_default_only_this_machine_is_let_in(service):
    run = leakscope_cli("watch", service.pid, *SHORT, "--listen", ":0")
    assert run.returncode == 0
    assert re.fullmatch(r"leakscope: metrics are at http://127\.0\.0\.1:\d+/metrics\n", run.stderr)
    quiet = leakscope_cli("watch", service.pid, *SHORT, "--listen", ":0", "--quiet")
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_whoever_is_let_in_otherwise_is_said_aloud(service):
    run = leakscope_cli("watch", service.pid, *SHORT, "--listen", "0.0.0.0:0", "--quiet")
    assert run.returncode == 0
    said = r"leakscope: whoever reaches 0\.0\.0\.0:\d+ can read the metrics there; .*\n"
    assert re.fullmatch(said, run.stderr)


def test_what_cannot_be_listened_on_is_one_line(service):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for address in (f":{port}", "nonsense", "192.0.2.1:0"):
            run = leakscope_cli("watch", service.pid, *SHORT, "--listen", address)
            assert (run.returncode, run.stdout) == (2, "")
            assert re.fullmatch(r"leakscope: cannot listen on .*\n", run.stderr)


def test_what_the_target_is_called_and_takes_is_told_from_the_first_round(service):
    with watching(service.pid, "-n", "300ms", "--listen", "0") as watch:
        watch.until("sample", 2)
        (url,) = re.findall(r"http://\S+", watch.stderr())
        text = fetched(url)
        watch.process.terminate()
        watch.until_end()
        with pytest.raises(urllib.error.URLError):
            fetched(url)
    assert re.search(r"^leakscope_target_threads 4\.0$", text, re.M)
    taken = re.search(r'^leakscope_samples_total\{outcome="taken"\} (\d+)\.0$', text, re.M)
    assert taken
    assert int(taken[1]) >= 1
    assert re.search(r'^leakscope_cpu_seconds_total\{of="py-spy"\} 0\.0*[1-9]', text, re.M)


def test_a_program_without_python_yet_has_no_processes():
    command = [
        sys.executable, "-m", "leakscope", "run", "--listen", "0", "-o", "/dev/null",
        "--", "sleep", "3",
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        said = run.stderr.readline()
        (url,) = re.findall(r"metrics are at (\S+)", said)
        assert "leakscope_target_processes 0.0" in fetched(url)
        run.communicate(timeout=30)
    assert run.returncode == 0


def test_without_the_library_it_says_what_to_install(service):
    code = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        f"from leakscope.cli import main; main(['watch', '{service.pid}', *sys.argv[1:]])"
    )
    for option in ("--listen=0", "--textfile=/tmp/leakscope-test.prom"):
        run = subprocess.run(
            [sys.executable, "-c", code, option, *SHORT],
            capture_output=True, check=False, text=True, timeout=60,
        )  # fmt: skip
        assert (run.returncode, run.stdout) == (2, "")
        first, advice = run.stderr.splitlines()
        assert "prometheus-client" in first
        assert "pip install" in advice


def test_a_text_file_is_there_after_the_first_round_and_stays(service, tmp_path):
    path = tmp_path / "web.prom"
    with watching(service.pid, "-n", "300ms", "--textfile", str(path)) as watch:
        watch.until("sample", 2)
        assert path.exists()
        watch.process.terminate()
        summary = watch.until_end()
    assert summary
    assert 'leakscope_target_threads{target="web"} 4.0' in path.read_text()
    assert list(tmp_path.iterdir()) == [path]


class _Round:
    """Of a watch as much as is asked of it here; a later one has seen more."""

    def __init__(self, samples: int = 1) -> None:
        self._samples = samples

    def report(self):
        return report(samples=self._samples)


@pytest.mark.parametrize(("each_s", "told"), [(0.0, "3.0"), (3600.0, "1.0")])
def test_a_report_is_put_together_now_and_then(each_s, told, monkeypatch, capsys):
    """What a scrape tells is as old as that at most, and dumps need not pay for one each second."""
    monkeypatch.setattr(exporting, "_EACH_S", each_s)
    with click.Context(click.Command("watch")):
        scraped = exporting.Scraped("0")
    (url,) = re.findall(r"http://\S+", capsys.readouterr().err)
    try:
        for samples in (1, 2, 3):
            scraped.sample(_Round(samples))  # type: ignore[arg-type]
        assert f'leakscope_samples_total{{outcome="taken"}} {told}' in fetched(url)
    finally:
        scraped.finish(report())


def test_a_disk_that_is_full_for_a_while_ends_no_watch(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setattr(exporting, "_EACH_S", 0.0)
    folder = tmp_path / "folder"
    folder.mkdir()
    file = exporting.InTextFile(str(folder / "web.prom"))
    folder.rmdir()  # as good as full, and needs no mount
    for _ in range(3):
        file.sample(_Round())  # type: ignore[arg-type]
    said = capsys.readouterr().err
    assert re.fullmatch(r"leakscope: cannot write to .*; it is tried again, .*\n", said), "once"
    with pytest.raises(UsageProblem, match="cannot write to"):
        file.finish(report())
