"""What all tests share: a fixed terminal, the Pythons to attach to, and word of what was left out.

A test that takes the fixture `python` gets the path of the Python that runs the tests. Marked with
`@pytest.mark.all_pythons`, it runs once for each wanted version, or for those it names, as in
`@pytest.mark.all_pythons("3.8", "3.15")`; a version that is not there shows as a skip.
"""

from __future__ import annotations

import os
import platform
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.faults.figures import Figures
from tests.pythons import WANTED, find_pythons, release_of, why_missing
from tests.tracing import why_tracing_is_refused
from tests.unprivileged import shared_folder

COLOUR_VARIABLES = (
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLORTERM",
    "FORCE_COLOR",
    "NO_COLOR",
    "TTY_COMPATIBLE",
    "TTY_INTERACTIVE",
)

# What the tests marked `fault` are called where they are counted.
FAULTS = "faults survived"

attached_releases = pytest.StashKey[set[str]]()
missing_reasons = pytest.StashKey[dict[str, str]]()
counted = pytest.StashKey[Figures]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where `make acceptance` wants the figures."""
    parser.addoption("--figures", metavar="FILE", help="write what was counted to this file")


def pytest_configure(config: pytest.Config) -> None:
    """Make output the same on every terminal, for the tests and for what they start."""
    os.environ["COLUMNS"] = "80"
    os.environ["LINES"] = "24"
    for name in COLOUR_VARIABLES:
        os.environ.pop(name, None)
    # In the background of a script, or under nohup, these are ignored, and so they would be by all
    # that the tests start. What has a handler is not handed down.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)
    # The same examples each time: what passed once does not fail at another's change.
    hypothesis.settings.register_profile("same each time", derandomize=True, deadline=None)
    hypothesis.settings.load_profile("same each time")
    config.stash[attached_releases] = set()
    config.stash[missing_reasons] = {}
    config.stash[counted] = Figures()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test marked `all_pythons` once for each version."""
    mark = metafunc.definition.get_closest_marker("all_pythons")
    if mark is None:
        return
    if "python" not in metafunc.fixturenames:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: all_pythons needs `python`")
    versions = mark.args or WANTED
    ids = [f"python{version}" for version in versions]
    metafunc.parametrize("python", versions, ids=ids, indirect=True)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Stop at once if tests are to attach and can't: a long list of failures says less."""
    if session.config.option.collectonly:
        return
    if any(item.get_closest_marker("attach") for item in session.items):
        reason = why_tracing_is_refused()
        if reason is not None:
            pytest.exit(
                f"Processes can't be traced here ({reason}). Run the tests as root, or with"
                " CAP_SYS_PTRACE in a container, or set kernel.yama.ptrace_scope to 0; or leave"
                ' out those that attach: pytest -m "not attach"',
                returncode=pytest.ExitCode.USAGE_ERROR,
            )


@pytest.fixture
def python(request: pytest.FixtureRequest) -> Path:
    """The interpreter for a target program; see above for how to get them all."""
    version = getattr(request, "param", None)
    if version is None:
        return Path(sys.executable)
    found = find_pythons().get(version)
    if found is None:
        reason = why_missing(version)
        request.config.stash[missing_reasons][version] = reason
        pytest.skip(reason)
    return found


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can look into; pytest's own is closed to others."""
    with shared_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Figures:
    """Counts to be printed at the end of the run."""
    return request.config.stash[counted]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note which Python a passed test has attached to, and each fault."""
    report = yield
    happened = report.when == "call" and (not report.skipped or hasattr(report, "wasxfail"))
    if happened and item.get_closest_marker("fault"):
        item.config.stash[counted].tried(FAULTS, 1, int(report.passed))
    if report.when == "call" and report.passed and item.get_closest_marker("attach"):
        callspec = getattr(item, "callspec", None)
        version = callspec.params.get("python") if callspec else None
        release = release_of(version) if version else platform.python_version()
        item.config.stash[attached_releases].add(release)
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was attached to, so that a skipped version can't go unseen."""
    attached = config.stash[attached_releases]
    missing = config.stash[missing_reasons]
    if attached:
        terminalreporter.write_line(
            f"Pythons attached to: {', '.join(sorted(attached, key=_by_number))}"
        )
    figures = config.stash[counted]
    for line in figures.lines():
        terminalreporter.write_line(line)
    if config.option.figures:
        figures.write(Path(config.option.figures))
    for version in sorted(missing, key=_by_number):
        terminalreporter.write_line(f"Python {version} not attached to: {missing[version]}")


def _by_number(release: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdigit() else 0, part) for part in release.split(".")]
