"""Files that would fill the memory or take for ever: refused, in a child that may take little."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from leakscope.sources.lines import MAX_BLANK, MAX_LINE
from leakscope.tape import MARK
from tests.unit.test_fuzz import WHOLE

MIB = 1024 * 1024
# Of addresses: more than leakscope and its libraries take, much less than a naive reader would.
MEMORY = 1024 * MIB
# Seconds; on an idle machine each takes less than three.
PATIENCE_S = 60.0

_LIMITED = f"""
import resource
resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
from leakscope.cli import main
main()
"""


def limited(*args: str | Path, stdin: BinaryIO | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line with little memory."""
    return subprocess.run(
        [sys.executable, "-c", _LIMITED, *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        stdin=subprocess.DEVNULL if stdin is None else stdin,
    )


def piece(text: bytes) -> bytes:
    """A MiB of it."""
    return text * (MIB // len(text))


HEAD = f'{{"{MARK}":1,"a":['.encode()
LONG_LINE = b'"%s",\n' % (b"x" * 1020)
TEXT = b"Process 1: a\nPython v3.11.7\n\nThread 1 (idle)\n"


def bombs() -> Iterator[tuple[str, Iterable[bytes], str]]:
    """Name, content, and what is said of it by diff."""
    yield "a line of 100 MB", [b'[{"a":"', *[piece(b"x")] * 100], "line 1: longer than 64 MiB"
    yield "values", [b"[", *[piece(b"[],")] * 60], "line 1: not JSON: it holds more than"
    yield "values in a recording", [HEAD, *[piece(b"1,")] * 60], "line 1: it holds more than"
    yield "blank lines", [piece(b"\n")] * 300, f"more than {MAX_BLANK // MIB} MiB of blanks"
    yield (
        "a value of many lines",
        [b"[\n", *[piece(LONG_LINE)] * 70],
        "no end of a JSON value",
    )
    yield "text", [TEXT, *[piece(b"    f (a.py:1)\n")] * 60], "more than 16 MiB of text"
    yield "wide letters", [b'["', *[piece("🔥".encode())] * 60, b'"]'], "a thread is not as py-spy"
    yield "NUL", [piece(b"\0")] * 100, "line 1: longer than 64 MiB"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bombs")
    paths = {}
    for number, (name, content, _) in enumerate(bombs()):
        paths[name] = folder / f"{number}.gz"
        with gzip.open(paths[name], "wb", compresslevel=1) as file:
            file.writelines(content)
    return paths


BOMBS = [(name, says) for name, _, says in bombs()]


@pytest.mark.parametrize(("name", "says"), BOMBS, ids=[name for name, _ in BOMBS])
def test_a_small_file_that_unpacks_to_much(name, says, packed):
    assert packed[name].stat().st_size < 2 * MIB
    for args in (("diff", packed[name], packed[name]), ("replay", packed[name])):
        done = limited(*args)
        first, *advice = done.stderr.splitlines()
        assert (done.returncode, done.stdout) == (2, ""), done.stderr[-500:]
        assert str(packed[name]) in first
        assert all(line.startswith("  ") for line in advice)
        assert says in first or args[0] == "replay"


def test_a_hole_of_a_file(tmp_path):
    sparse = tmp_path / "sparse"
    sparse.touch()
    os.truncate(sparse, 2**40)
    for args in (("diff", sparse, sparse), ("replay", sparse)):
        done = limited(*args)
        assert done.returncode == 2
        assert f"{sparse}, line 1: longer than {MAX_LINE // MIB} MiB" in done.stderr


@pytest.mark.parametrize("command", ["diff", "replay"])
def test_a_device_without_end(command):
    others = ["/dev/null"] if command == "diff" else []
    done = limited(command, "/dev/zero", *others)
    assert done.returncode == 2
    assert "/dev/zero, line 1: longer than" in done.stderr


def test_standard_input_without_end():
    with open("/dev/zero", "rb") as endless:
        done = limited("diff", "-", "/dev/null", stdin=endless)
    assert done.returncode == 2
    assert "standard input, line 1: longer than" in done.stderr


def test_brackets_without_end_take_no_time(tmp_path):
    path = tmp_path / "saved"
    path.write_bytes(TEXT + b"    a" + b" (" * 100_000 + b"\n")
    began_s = time.monotonic()
    assert limited("diff", path, path).returncode == 0
    assert time.monotonic() - began_s < 20


def test_a_recording_from_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(WHOLE["leak"],))
    writer.start()
    done = limited("replay", pipe)
    writer.join()
    assert done.returncode == 1, done.stderr
    assert "LEAKING: 1 leak" in done.stdout
