"""What others read our formats with: `make readers` brings it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

BROUGHT = Path(__file__).parent.parent / ".readers"


def speedscope_schema() -> Any:
    """The schema that speedscope publishes; the test is skipped where it is not there."""
    file = BROUGHT / "speedscope" / "file-format-schema.json"
    if not file.exists():
        pytest.skip("speedscope's schema is not here; `make readers` brings it, with npm")
    return json.loads(file.read_text(encoding="utf-8"))


def inferno_draws(lines: Iterable[str]) -> str:
    """The flame graph, as SVG, that inferno draws of folded lines; skipped where it is not there.

    An AssertionError if it can't read them.
    """
    if not (BROUGHT / "python" / "pyinferno").exists():
        pytest.skip("inferno is not here; `make readers` brings it")
    draw = (
        "import json, sys; from pyinferno import flamegraph_from_lines as draw;"
        "print(draw(json.load(sys.stdin), 'threads'))"
    )
    drawn = subprocess.run(
        [sys.executable, "-c", draw],
        input=json.dumps(list(lines)),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(BROUGHT / "python")},
        timeout=60,
        check=False,
    )
    assert drawn.returncode == 0, drawn.stderr
    assert not drawn.stderr, drawn.stderr
    return drawn.stdout


def flamegraph_draws(lines: Iterable[str]) -> str:
    """The flame graph, as SVG, that flamegraph.pl draws of folded lines; skipped without it.

    An AssertionError if it can't read them.
    """
    script, perl = BROUGHT / "flamegraph.pl", shutil.which("perl")
    if perl is None or not script.exists():
        pytest.skip("perl or flamegraph.pl is not here; `make readers` brings the latter")
    drawn = subprocess.run(
        [perl, str(script)],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert drawn.returncode == 0, drawn.stderr
    assert not drawn.stderr, drawn.stderr
    return drawn.stdout
