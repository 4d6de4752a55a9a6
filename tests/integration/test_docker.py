"""The image, and the recipe for Docker, with a real daemon: from one container into another."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leakscope.assets import assets
from tests import docker
from tests.docker import Docker
from tests.documents import checked, checked_lines, group_at
from tests.running import PROGRAMS
from tests.yama.inside import POOL, SERVICE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
IMAGE = "leakscope:test"
USER = "10001:10001"
SHELL = " ".join(SERVICE)
FOLDER = ("--volume", f"{PROGRAMS}:/programs:ro", "--network", "none")
# It leaks as soon as it is told to, and goes on for as long as nobody closes its input.
LEAKS = ("sh", "-c", f"(echo autoleak 2; sleep 1000) | {SHELL}")


@pytest.fixture(scope="module")
def real(request: pytest.FixtureRequest) -> Iterator[Docker]:
    """A daemon with the image, and three containers: root's, a user's, and one that leaks."""
    docker.need()
    request.getfixturevalue("one_file")  # which the image is made of
    with docker.daemon() as daemon:
        daemon.call("build", "--file", ROOT / ".container/Containerfile", "--tag", IMAGE, ROOT)
        start = ("run", "--detach", "--interactive", *FOLDER)
        daemon.call(*start, "--name", "roots", docker.BASE, *SERVICE)
        daemon.call(*start, "--name", "users", "--user", USER, docker.BASE, *SERVICE)
        daemon.call(*start, "--name", "leaks", "--user", USER, docker.BASE, *LEAKS)
        for name in ("roots", "users", "leaks"):
            until_ready(daemon, name)
        yield daemon


def until_ready(daemon: Docker, name: str) -> None:
    deadline = time.monotonic() + 30
    while "ready" not in daemon.call("logs", name):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """docker/watch.sh."""
    (content,) = [asset.content for asset in assets() if asset.path == "docker/watch.sh"]
    (tmp_path / "watch.sh").write_bytes(content)
    return tmp_path / "watch.sh"


def begun(daemon: Docker, recipe: Path, *words: str, user: str = "") -> subprocess.Popen[str]:
    """The recipe, which goes on."""
    return subprocess.Popen(
        ["sh", str(recipe), *words],
        env={**daemon.environment, "LEAKSCOPE_IMAGE": IMAGE, "LEAKSCOPE_USER": user},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def said(running: subprocess.Popen[str], status: int) -> tuple[str, str]:
    """What it writes until it ends with this status."""
    out, err = running.communicate(timeout=180)
    assert running.returncode == status, err
    return out, err


@pytest.mark.parametrize("name", ["roots", "users"])
def test_root_with_the_capability_sees_every_container(name, real, recipe):
    out, _ = said(begun(real, recipe, name, "dump", "--json"), 0)
    assert group_at(checked(out), "pool_worker")["count"] == POOL


def test_the_user_of_a_container_sees_it_without_a_capability(real, recipe):
    if yama_forbids():
        pytest.skip("Yama lets nobody look at processes but their own children")
    out, _ = said(begun(real, recipe, "users", "dump", "--json", user=USER), 0)
    assert group_at(checked(out), "pool_worker")["count"] == POOL


def test_another_user_is_refused(real, recipe):
    _, err = said(begun(real, recipe, "roots", "dump", "1", user=USER), 4)
    assert err.startswith("leakscope: not permitted to look into process 1")
    assert "In Docker: start the container with `--cap-add SYS_PTRACE`" in err


def test_a_leak_is_found_from_beside(real, recipe):
    watch = ("leaks", "watch", "--exit-on-leak", "--duration", "3m", "--json")
    users = [""] if yama_forbids() else ["", USER]
    for watching in [begun(real, recipe, *watch, user=user) for user in users]:
        out, _ = said(watching, 1)
        summary = checked_lines(out)[-1]
        assert [leak["site"]["function"] for leak in summary["leaks"]] == ["consume"]


def test_what_stops_the_recipe_ends_the_watch_with_its_report(real, recipe):
    watching = begun(real, recipe, "roots", "watch", "--format", "ndjson")
    assert watching.stdout is not None
    while json.loads(watching.stdout.readline())["type"] != "sample":
        pass
    watching.terminate()
    out, _ = said(watching, 0)
    assert json.loads(out.splitlines()[-1])["ended_by"] == "signal"


def yama_forbids() -> bool:
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    return scope.exists() and scope.read_text().strip() != "0"
