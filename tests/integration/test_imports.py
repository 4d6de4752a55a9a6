"""What each command imports: a start is as slow as its longest list of modules.

No time is measured, for machines differ; the lists do not.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.running import running, unmeasured

# Ends the program as `leakscope` does, and then says what was imported, and what had been when
# py-spy was started.
_ASKING = """
import json, os, sys

before = set(sys.modules)
at_start = None

import subprocess

class Popen(subprocess.Popen):
    def __init__(self, *arguments, **settings):
        global at_start
        at_start = sorted(set(sys.modules) - before)
        super().__init__(*arguments, **settings)

if sys.argv[1:2] == ["dump"]:
    subprocess.Popen = Popen
else:
    del subprocess
    for name in set(sys.modules) - before:
        del sys.modules[name]

from leakscope.cli import main

try:
    main()
except SystemExit as end:
    assert not end.code, end
said = {"at_start": at_start, "at_end": sorted(set(sys.modules) - before)}
print(json.dumps(said), file=sys.stderr)
"""

# Libraries that take more than 2 ms each, with what they bring: for other commands.
SLOW = {
    "asyncio",
    "email",
    "gzip",
    "importlib.metadata",
    "logging",
    "multiprocessing",
    "pathlib",
    "psutil",
    "rich",
    "secrets",
    "socket",
    "statistics",
    "urllib.request",
}


def imported(*arguments: str) -> dict[str, set[str]]:
    """The modules that a command line imports, all and until py-spy was started."""
    done = subprocess.run(
        [sys.executable, "-c", _ASKING, *arguments],
        capture_output=True, text=True, check=True, env=unmeasured(),
    )  # fmt: skip
    said = json.loads(done.stderr.splitlines()[-1])
    return {when: set(modules or ()) for when, modules in said.items()}


def own(modules: set[str]) -> set[str]:
    return {name.removeprefix("leakscope.") for name in modules if name.startswith("leakscope.")}


@pytest.mark.parametrize("arguments", [["--version"], ["--help"]])
def test_nothing_is_imported_to_say_what_leakscope_is(arguments):
    modules = imported(*arguments)["at_end"]
    assert own(modules) == {"cli", "destination", "errors", "output"}
    assert not modules & (SLOW | {"json", "subprocess", "traceback"})


@pytest.mark.parametrize("command", ["watch", "dump", "replay", "ps", "schema"])
def test_the_help_of_a_command_needs_the_options_only(command):
    modules = own(imported(command, "--help")["at_end"])
    assert not modules & {"engine", "model", "sources.live", "sources.pyspy", "wire"}


@pytest.mark.attach
@pytest.mark.parametrize("format_", ["text", "json"])
def test_a_dump_imports_what_it_needs_and_most_of_it_while_pyspy_works(format_):
    with running("leaky_service.py") as target:
        modules = imported("dump", str(target.pid), "--format", format_)
    assert own(modules["at_start"]) == {
        "cli",
        "commands",
        "commands.dump",
        "commands.options",
        "commands.printing",
        "commands.targets",
        "debugging",
        "destination",
        "errors",
        "levels",
        "output",
        "redaction",
        "sources",
        "sources.child",
        "sources.pyspy",
        "sources.signals",
    }
    assert not modules["at_end"] & SLOW
    unneeded = {
        "causes",
        "culprits",
        "diffing",
        "renderers.terminal",
        "sources.advice",
        "sources.limits",
        "sources.process_list",
        "sources.recording",
        "sources.saved",
        "tape",
        "wire" if format_ == "text" else "renderers.text",
    }
    assert not own(modules["at_end"]) & unneeded
