"""Holds the shape of the package: who may import whom, and how long a function may get."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

# Module, as a path below leakscope, to layer. A module imports only from layers below its own;
# a package's __init__ (named as the package) may also import its own files.
LAYERS = {
    # Values, and words for them.
    "model": 0,
    "debugging": 0,
    "errors": 0,
    "averages": 0,
    "aside": 0,
    "keys": 0,
    "keyboard": 1,
    "births": 1,
    "levels": 0,
    "locales": 0,
    "printable": 0,
    "processes": 0,
    "redaction": 0,
    "spans": 0,
    # What is read, and where from.
    "destination": 1,
    "checked": 1,
    "dumps": 2,
    "limits": 1,
    "output": 2,
    "stacks": 1,
    "text_dumps": 1,
    "sources/advice": 1,
    "sources/kernel": 1,
    "sources/lines": 1,
    "sources/python_version": 1,
    "sources/sockets": 1,
    "sources/stopping": 1,
    "changes": 2,
    "stops": 2,
    "checkup": 2,
    "facts": 2,
    "identities": 3,
    "pacing": 0,
    "pauses": 0,
    "sources/budget": 0,
    "sources/child": 0,
    "places": 2,
    "tape": 3,
    "waits": 2,
    "rounds": 2,
    "sources/limits": 2,
    "sources/process_list": 3,
    "sources/signals": 0,
    "sources/witness": 0,
    "sources/hook": 1,
    "sources/relay": 1,
    "sources/program": 2,
    "sources/target": 2,
    "sources/pyspy": 4,
    # What follows from it.
    "checks/marks": 3,
    "checks/access": 4,
    "checks/kernel": 4,
    "checks/reading": 5,
    "checks/threads": 6,
    "checks": 7,
    "doctor": 8,
    "diffing": 3,
    "history": 3,
    "parked": 3,
    "pools": 3,
    "renderers/sparkline": 3,
    "variables": 3,
    "renderers/variables_text": 4,
    "sources/examining": 9,
    "tapes": 4,
    "sources/recording": 5,
    "unseen": 4,
    "policy": 1,
    "use": 3,
    "rules": 4,
    "rules/settled": 5,
    "rules/held": 5,
    "rules/born": 6,
    "rules/rearmed": 6,
    "rules/runaway": 6,
    "rules/unread": 5,
    "verdicts": 7,
    "sources/saved": 11,
    "leaks": 7,
    "cases": 8,
    "causes": 9,
    "culprits": 9,
    "report": 9,
    "baseline": 10,
    "excuses": 1,
    "accounts": 3,
    "explaining": 10,
    "timeline": 10,
    "ranking": 9,
    "sources/reports": 12,
    "wire": 10,
    "sources/joining": 5,
    "merging": 10,
    "sources/timetable": 10,
    "sources/live": 11,
    "sources/tree": 4,
    "engine": 11,
    "members": 12,
    "sources/rounds": 12,
    "sources": 13,
    # What other programs are given.
    "assets": 0,
    "metrics": 10,
    "exporters/addresses": 1,
    "exporters/client": 11,
    "exporters/serving": 2,
    "exporters/prometheus": 12,
    "exporters/textfile": 13,
    "exporters/openmetrics": 12,
    "exporters": 14,
    # How it is shown.
    "renderers/columns": 1,
    "renderers/folded": 10,
    "renderers/diff_folded": 11,
    "renderers/openmetrics": 13,
    "renderers/diff_openmetrics": 13,
    "renderers/speedscope": 13,
    "renderers/diff_speedscope": 14,
    "renderers/json_diff": 11,
    "renderers/json_report": 11,
    "renderers/json_rank": 11,
    "renderers/rank_text": 14,
    "renderers/wording": 12,
    "renderers/junit": 14,
    "renderers/markdown": 14,
    "renderers/process_text": 13,
    "renderers/page/timescale": 1,
    "renderers/page/tree": 2,
    "renderers/page/drawing": 2,
    "renderers/page/curves": 13,
    "renderers/page/charts": 14,
    "renderers/page/diff_page": 15,
    "renderers/page/report_page": 15,
    "renderers/page": 15,
    "renderers/text": 13,
    "renderers/account_text": 14,
    "renderers/diff_markdown": 15,
    "renderers/diff_text": 14,
    "renderers/doctor_text": 14,
    "renderers/terminal": 14,
    "renderers/theme": 10,
    "renderers/live/pen": 11,
    "renderers/live/state": 13,
    "renderers/live/findings": 14,
    "renderers/live/header": 14,
    "renderers/live/help": 14,
    "renderers/live/stack": 14,
    "renderers/live/detail": 15,
    "renderers/live/overview": 15,
    "renderers/live/view": 16,
    "renderers/live/pressing": 17,
    "renderers/live": 18,
    # What is asked for.
    "renderers": 15,
    "commands/invocation": 14,
    "commands/looking": 15,
    "commands/debug_log": 14,
    "commands/options": 15,
    "commands/schema": 15,
    "commands/statuses": 15,
    "commands/targets": 15,
    "commands/printing": 15,
    "commands/ps": 16,
    "commands/exporting": 16,
    "commands/assets": 16,
    "commands/live": 18,
    "commands/following": 19,
    "commands/on_leak": 19,
    "commands/in_ci": 19,
    "commands/beside": 20,
    "commands/diff": 21,
    "commands/doctor": 21,
    "commands/dump": 21,
    "commands/rank": 21,
    "commands/replay": 21,
    "commands/run": 21,
    "commands/watch": 21,
    "commands/explain": 22,
    "commands": 23,
    "cli": 24,
    "__init__": 25,
    "__main__": 25,
}

# Top-level module to the parts of leakscope that may import it, as prefixes of module paths.
DOORS = {
    "click": ("cli", "commands"),
    "http": ("exporters/",),
    "prometheus_client": ("exporters/",),
    "psutil": ("sources/",),
    "jinja2": ("renderers/page/",),
    "pygal": ("renderers/page/",),
    # In commands for types only.
    "rich": ("renderers/terminal", "renderers/live", "commands/printing", "commands/live"),
    "subprocess": ("sources/",),
}

# Everyone may ask the package for its version, though it stands above all.
FREE_NAMES = {"leakscope.__version__"}

LONGEST_FUNCTION = 40  # lines, without the signature and the docstring

PACKAGE = Path(__file__).parent.parent / "leakscope"
FILES = sorted(PACKAGE.rglob("*.py"))


def module_of(file: Path) -> str:
    path = file.relative_to(PACKAGE).with_suffix("").as_posix()
    return path.removesuffix("/__init__")


MODULES = {module_of(file): file for file in FILES}


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file))


def imported_names(module: str, file: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the absolute dotted name of whatever is imported, wherever it stands."""
    package = ["leakscope", *module.split("/")]
    if file.name != "__init__.py" or module == "__init__":
        package.pop()
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{origin}.{alias.name}") for alias in node.names)


def own_module(name: str) -> str | None:
    """Return the leakscope module that a dotted name leads to, None if it leads elsewhere."""
    first, *rest = name.split(".")
    if first != "leakscope" or name in FREE_NAMES:
        return None
    while rest and "/".join(rest) not in MODULES:
        rest.pop()  # the name of something inside a module
    return "/".join(rest) or "__init__"


def steps_up(module: str, file: Path) -> Iterator[str]:
    for line, name in imported_names(module, file):
        target = own_module(name)
        if target is None or (file.name == "__init__.py" and target.startswith(f"{module}/")):
            continue
        if module == "__init__":
            continue  # all the files are its own
        if target in LAYERS and LAYERS[target] >= LAYERS[module]:
            yield (
                f"leakscope/{module}:{line} (layer {LAYERS[module]}) imports"
                f" {target} (layer {LAYERS[target]})"
            )


def doors_broken(module: str, file: Path) -> Iterator[str]:
    for line, name in imported_names(module, file):
        allowed = DOORS.get(name.split(".")[0])
        if allowed is not None and not module.startswith(allowed):
            yield f"leakscope/{module}:{line} imports {name}, which only {', '.join(allowed)} may"


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of its body: click hands a command each of its options as a parameter."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.body[0].lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        docstring = function.body[0]
        assert docstring.end_lineno is not None
        lines -= docstring.end_lineno - docstring.lineno + 1
    return lines


def test_every_module_has_a_layer():
    assert FILES, f"no modules in {PACKAGE}"
    unlisted = sorted(MODULES.keys() - LAYERS)
    assert not unlisted, f"give these a layer in LAYERS of tests/test_layers.py: {unlisted}"


def test_no_layer_is_left_of_a_module_that_is_gone():
    stale = sorted(LAYERS.keys() - MODULES)
    assert not stale, f"take these out of LAYERS in tests/test_layers.py: {stale}"


@pytest.mark.parametrize("module", sorted(MODULES.keys() & LAYERS))
def test_imports_go_down(module):
    assert not list(steps_up(module, MODULES[module]))


@pytest.mark.parametrize("module", sorted(MODULES))
def test_outside_modules_come_in_by_their_door(module):
    assert not list(doors_broken(module, MODULES[module]))


@pytest.mark.parametrize("module", sorted(MODULES))
def test_functions_are_short(module):
    too_long = [
        f"leakscope/{module}:{node.lineno} {node.name} has {code_lines(node)} lines"
        for node in ast.walk(tree_of(MODULES[module]))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and code_lines(node) > LONGEST_FUNCTION
    ]
    assert not too_long
