"""A Docker daemon of the tests' own, as `make docker` brings it: nothing but they talk to it.

It has no network to give to containers, and neither asks a registry nor changes the firewall. It
lives in namespaces of its own, so that what it mounts and runs ends with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

BROUGHT = Path(__file__).parent.parent / ".docker"
BASE = "python:3.13-slim"  # what .container/Containerfile begins with
STARTS_WITHIN_S = 30.0


def need() -> None:
    """Skip the test where there is no Docker, or no right to start its daemon."""
    if not (BROUGHT / "base.tar").exists():
        pytest.skip("no Docker here for the tests; on Debian `make docker` brings one")
    if os.geteuid() != 0:
        pytest.skip("only root can start a Docker daemon")


class Docker:
    """A daemon that runs."""

    def __init__(self, folder: Path) -> None:
        path = f"{BROUGHT}/usr/bin:{BROUGHT}/usr/sbin:{os.environ['PATH']}"
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{folder}/socket", "PATH": path}

    def call(self, *words: str | Path, status: int = 0) -> str:
        """What the client says, on both streams; it is to end with this status."""
        done = subprocess.run(
            ["docker", *words], env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout
        return done.stdout.strip()

    def is_ready(self) -> bool:
        """Whether it answers."""
        asked = subprocess.run(["docker", "version"], env=self.environment, capture_output=True)
        return asked.returncode == 0


@contextlib.contextmanager
def daemon() -> Iterator[Docker]:
    """One that has the base image and no other; the test is skipped where it can't run."""
    folder = Path(tempfile.mkdtemp(prefix="leakscope-docker-"))  # a socket's path has to be short
    docker = Docker(folder)
    command = [
        "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
        "sh", "-c", 'mount -t tmpfs none /run && exec "$@"', "sh", "dockerd",
        f"--host=unix://{folder}/socket", f"--pidfile={folder}/pid",
        f"--data-root={folder}/data", f"--exec-root={folder}/exec",
        "--bridge=none", "--iptables=false", "--ip-masq=false",
    ]  # fmt: skip
    try:
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command, env=docker.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            _wait_for(docker, process, folder / "log")
            docker.call("import", "--change", 'CMD ["python"]', BROUGHT / "base.tar", BASE)
            yield docker
            docker.call("rm", "--force", *docker.call("ps", "--all", "--quiet").split())
        finally:
            process.kill()  # unshare minds no other signal; its namespaces go with it
            process.wait()
    finally:
        shutil.rmtree(folder)


def _wait_for(docker: Docker, process: subprocess.Popen[bytes], log: Path) -> None:
    ends_s = time.monotonic() + STARTS_WITHIN_S
    while not docker.is_ready():
        if process.poll() is not None or time.monotonic() > ends_s:
            last = log.read_text(errors="replace").splitlines()[-1:]
            pytest.skip(f"no Docker daemon can be started here: {''.join(last)}")
        time.sleep(0.1)
