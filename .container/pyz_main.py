"""Where leakscope.pyz begins: it finds a folder to unpack itself into, and goes on as shiv has it.

Kept to what Python 3.7 understands, so that an old Python is told that it is too old.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Any, NoReturn

import _bootstrap  # shiv's, which is in the file too

NEEDED = (3, 11)
USAGE = 2  # the exit status, as leakscope has it
HOME = "~/.shiv"


def main() -> None:
    """Run leakscope."""
    if sys.version_info < NEEDED:
        end(f"needs Python {join(NEEDED)} or newer, and this is {join(sys.version_info[:2])}.")
    _bootstrap.cache_path = unpacked
    _bootstrap.bootstrap()


def unpacked(archive: Any, named: str | None, build_id: str) -> Path:
    """The folder that holds what is in the file; `named` is SHIV_ROOT, if that is set."""
    refused = []
    for root in [named] if named else [HOME, private()]:
        try:
            return unpacked_in(root, archive, build_id)
        except (OSError, RuntimeError) as error:  # RuntimeError: nobody knows where the home is
            refused.append(f"{root}: {getattr(error, 'strerror', None) or error}")
    end(
        f"cannot unpack itself ({'; '.join(refused)}). "
        "Set SHIV_ROOT to a folder that can be written to, with 25 MB free."
    )


def unpacked_in(root: str, archive: Any, build_id: str) -> Path:
    """The folder below this one. Raises OSError and RuntimeError."""
    folder: Path = shivs_cache_path(archive, root, build_id)
    folder.parent.mkdir(mode=0o700 if root == private() else 0o777, parents=True, exist_ok=True)
    if root == private():
        check_is_private(folder.parent)
    if os.statvfs(folder.parent).f_flag & getattr(os, "ST_NOEXEC", 0):
        # py-spy could not be started from there; Docker mounts what --tmpfs names so.
        raise OSError(errno.EACCES, "no program may be run from there (noexec)")
    if not (folder / "site-packages").exists():
        try:
            _bootstrap.extract_site_packages(archive, folder)
        except OSError:
            # Half of it is of no use, and a full disk needs the room.
            shutil.rmtree(f"{folder}.tmp", ignore_errors=True)
            raise
    return folder


def private() -> str:
    """For where there is no home that can be written to, as in many a pod.

    It is the same at each start: a folder for each would stay behind, were leakscope killed.
    """
    return os.path.join(os.environ.get("TMPDIR") or "/tmp", f"leakscope-{os.geteuid()}")


def check_is_private(folder: Path) -> None:
    """Raise OSError for a folder that another user has put there, to have us run what is in it."""
    found = folder.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not is_ours or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise OSError(errno.EPERM, "not a folder of yours alone")


def join(version: tuple[int, ...]) -> str:
    """3.11, say."""
    return ".".join(map(str, version))


def end(why: str) -> NoReturn:
    """Say it as leakscope does, in one line."""
    print(f"leakscope: {why}", file=sys.stderr)
    sys.exit(USAGE)


shivs_cache_path = _bootstrap.cache_path

if __name__ == "__main__":
    main()
