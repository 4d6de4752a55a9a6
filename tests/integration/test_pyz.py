"""The one-file build runs with a Python that has nothing installed, and brings its own py-spy."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.pythons import find_pythons
from tests.rights import need
from tests.running import running

NEW_ENOUGH = ("3.11", "3.12", "3.13", "3.14", "3.15")
NO_FOLDER = "/proc/leakscope"  # not even root can make one there


def run(
    python: str, one_file: Path, home: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """With next to no environment, and a PATH on which there is no py-spy."""
    return subprocess.run(
        [python, "-I", str(one_file), *arguments],
        capture_output=True, text=True, timeout=120,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home)},
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.attach
def test_it_looks_at_a_process_with_nothing_but_python(one_file, tmp_path):
    found = find_pythons()
    pythons = [found[version] for version in NEW_ENOUGH if version in found]
    with running("leaky_service.py") as target:
        for python in [*pythons, Path(sys.executable)]:
            done = run(str(python), one_file, tmp_path, "dump", str(target.pid), "--json")
            assert (done.returncode, done.stderr) == (0, ""), python
            assert json.loads(done.stdout)["groups"], python
        listed = run(sys.executable, one_file, tmp_path, "ps")
        assert str(target.pid) in listed.stdout


@pytest.mark.slow
def test_where_it_unpacks_itself_can_be_chosen(one_file, tmp_path):
    done = subprocess.run(
        [sys.executable, str(one_file), "--version"],
        capture_output=True, text=True, check=True,
        env=os.environ | {"SHIV_ROOT": str(tmp_path / "root")},
    )  # fmt: skip
    assert done.stdout.startswith("leakscope ")
    assert list((tmp_path / "root").glob("*/site-packages/bin/py-spy"))


# --- where it can't unpack itself -----------------------------------------------------------------


def version_said(
    one_file: Path,
    launcher: Sequence[str] = (),
    prepare: Callable[[], None] | None = None,
    **env: str | Path,
) -> subprocess.CompletedProcess[str]:
    """What `--version` says with this environment and no other."""
    return subprocess.run(
        [*launcher, sys.executable, str(one_file), "--version"],
        capture_output=True, text=True, timeout=120, check=False, preexec_fn=prepare,
        env={name: str(value) for name, value in env.items()},
    )  # fmt: skip


def assert_told(said: subprocess.CompletedProcess[str], *words: str) -> None:
    """It has said in one line why it can't begin, and has ended as for a usage error."""
    assert (said.returncode, said.stdout) == (2, ""), said.stderr
    (line,) = said.stderr.splitlines()
    assert line.startswith("leakscope: ")
    for word in words:
        assert word in line


def a_full_disk() -> None:
    """Let files be no longer than one that is in the build; what is left over is seen with it."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))


@pytest.mark.slow
def test_without_a_home_it_has_a_private_folder_for_temporary_files(one_file, tmp_path):
    private = tmp_path / f"leakscope-{os.geteuid()}"
    for _ in range(2):
        said = version_said(one_file, HOME=NO_FOLDER, TMPDIR=tmp_path)
        assert (said.returncode, said.stderr) == (0, "")
        assert list(tmp_path.iterdir()) == [private], "it is the same at each start"
    assert private.stat().st_mode & 0o777 == 0o700
    (unpacked,) = private.glob("*/site-packages/bin/py-spy")
    assert os.access(unpacked, os.X_OK)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["open to all", "a link"])
def test_a_folder_that_another_user_may_have_put_there_is_not_taken(kind, one_file, tmp_path):
    private = tmp_path / f"leakscope-{os.geteuid()}"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if kind == "a link":
        private.symlink_to(elsewhere)
    else:
        private.mkdir()
        private.chmod(0o777)
    said = version_said(one_file, HOME=NO_FOLDER, TMPDIR=tmp_path)
    assert_told(said, f"{private}: not a folder of yours alone", "Set SHIV_ROOT")
    assert not list(private.iterdir())


@pytest.mark.slow
def test_that_there_is_no_folder_to_unpack_itself_into_is_one_line(one_file, tmp_path):
    said = version_said(one_file, HOME=NO_FOLDER, TMPDIR=NO_FOLDER)
    assert_told(said, "~/.shiv: No such file", f"{NO_FOLDER}/leakscope-", "Set SHIV_ROOT")
    said = version_said(one_file, HOME=tmp_path, SHIV_ROOT=NO_FOLDER)
    assert_told(said, f"({NO_FOLDER}: No such file", "Set SHIV_ROOT")
    assert not list(tmp_path.iterdir()), "where it was told to go it does not go elsewhere"


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_is_not_kept_full(one_file, tmp_path):
    said = version_said(one_file, prepare=a_full_disk, HOME=tmp_path, TMPDIR=tmp_path)
    assert_told(said, "~/.shiv: File too large", "Set SHIV_ROOT")
    assert {path.name for path in tmp_path.iterdir()} == {".shiv", f"leakscope-{os.geteuid()}"}
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) == 0


@pytest.mark.slow
def test_where_no_program_may_be_run_it_does_not_unpack_itself(one_file, tmp_path):
    """As in what Docker mounts for --tmpfs."""
    mount = 'mount -t tmpfs -o noexec none "$SHIV_ROOT" && exec "$@"'
    launcher = ("unshare", "--mount", "sh", "-c", mount, "sh")
    need("unshare", "--mount", "true")
    said = version_said(one_file, launcher, PATH=os.environ["PATH"], SHIV_ROOT=tmp_path)
    assert_told(said, "no program may be run from there (noexec)")


@pytest.mark.slow
def test_an_old_python_is_told_that_it_is_too_old(one_file, tmp_path):
    old = {version: path for version, path in find_pythons().items() if version not in NEW_ENOUGH}
    if not old:
        pytest.skip(f"there is no Python older than {NEW_ENOUGH[0]} here")
    for version, python in old.items():
        assert_told(
            run(str(python), one_file, tmp_path, "--version"),
            f"needs Python {NEW_ENOUGH[0]} or newer, and this is {version}.",
        )
