"""How a Python was built, from the files that its process has mapped."""

from __future__ import annotations

import os
import sys

import pytest

from leakscope.sources.python_version import Build, mapped_files, python_build, python_version

OWN = os.getpid()
DYNLOAD = "/usr/lib/python3.13t/lib-dynload/_bisect"


def binary(path, *words: bytes) -> str:
    path.write_bytes(b"\x7fELF\0" + b"\0".join(words) + b"\0")
    return str(path)


@pytest.mark.parametrize("flags", ["", "d", "t", "td"])
def test_the_flags_are_in_the_names_of_extension_modules(flags):
    paths = [f"{DYNLOAD}.cpython-313{flags}-x86_64-linux-gnu.so"]
    assert python_build(OWN, paths) == Build("3.13", "", flags)


@pytest.mark.parametrize("flags", ["", "d", "t", "td"])
def test_and_in_the_interpreter(tmp_path, flags):
    abi = f".cpython-313{flags}-x86_64-linux-gnu.so".encode()
    program = binary(tmp_path / f"python3.13{flags}", abi, b"3.13.2")
    assert python_build(OWN, [program]) == Build("3.13.2", program, flags)


def test_with_a_libpython_the_program_says_nothing(tmp_path):
    program = binary(tmp_path / "python3.13")
    library = binary(tmp_path / "libpython3.13.so.1.0", b".cpython-313-x86", b"3.13.2")
    assert python_build(OWN, ["/lib/libc.so.6", program, library]) == Build("3.13.2", library, "")


def test_where_nothing_tells(tmp_path):
    program = binary(tmp_path / "python3.13")
    assert python_build(OWN, [program, "/gone/python3.13"]) == Build("3.13", program, None)
    assert python_build(OWN, ["/bin/sleep"]) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_in_the_place_of_an_interpreter_holds_nobody_up(tmp_path):
    pipe = tmp_path / "python3.13"
    os.mkfifo(pipe)
    assert python_build(OWN, [str(pipe)]) == Build("3.13", str(pipe), None)


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="needs Linux")
def test_of_the_process_that_runs_the_tests():
    build = python_build(OWN, mapped_files(OWN))
    assert build is not None
    assert (build.version, build.abi_flags) == (python_version(OWN), sys.abiflags)
