"""The recipes for containers, as far as they can be tried without Kubernetes and Docker.

Each recipe's rights are read from the recipe, given to a leakscope here by setpriv and unshare, and
must be enough; one right less must not be.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from leakscope.assets import assets
from tests.cgroups import pids_cgroup
from tests.documents import checked
from tests.prometheus import fetched, free_port
from tests.rights import Rights, need, of_container, of_docker_run
from tests.running import PROGRAMS, leakscope_cli, running, unmeasured
from tests.unprivileged import NOBODY, anyones_python, as_nobody

pytestmark = pytest.mark.attach

WORKERS = 4
SERVICE = ("--pool", str(WORKERS), "--requests", "0")
FILES = {asset.path: asset.content.decode() for asset in assets()}
ROOT_WITH_ONE = Rights(0, frozenset({"SYS_PTRACE"}), may_gain=False, may_write=False)
ALONE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
WAIT_S = 30.0


def documents(path: str) -> dict[str, dict[str, Any]]:
    """What a manifest holds, by kind."""
    return {document["kind"]: document for document in yaml.safe_load_all(FILES[path])}


def containers(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {container["name"]: container for container in pod["containers"]}


def rights_in_pod(path: str) -> Rights:
    """Those of leakscope in a sidecar's manifest."""
    pod = documents(path)["Pod"]["spec"]
    assert pod["shareProcessNamespace"]
    return of_container(containers(pod)["leakscope"], pod)


def rights_in_daemonset() -> Rights:
    pod = documents("kubernetes/daemonset.yaml")["DaemonSet"]["spec"]["template"]["spec"]
    assert pod["hostPID"]
    return of_container(containers(pod)["leakscope"], pod)


def stand_in(folder: Path, name: str) -> Callable[..., list[str]]:
    """Run a recipe with a program of that name which only says how it was called."""
    program = folder / name
    program.write_text("""#!/bin/sh\nprintf '%s\\n' "$@"\n""")
    program.chmod(0o755)

    def called(recipe: str, *args: str, **env: str) -> list[str]:
        run = subprocess.run(
            ["sh", "-s", *args] if recipe == "-" else ["sh", recipe, *args],
            capture_output=True, check=True, text=True, stdin=subprocess.DEVNULL,
            env={**os.environ, **env, "PATH": f"{folder}:{os.environ['PATH']}"},
        )  # fmt: skip
        return run.stdout.splitlines()

    return called


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """The recipes as a person has them."""
    folder = tmp_path / "assets"
    assert leakscope_cli("assets", folder).returncode == 0
    return folder


@pytest.fixture
def of_nobody(open_folder: Path) -> Iterator[int]:
    """A service of a user without rights."""
    for name in ("leaky_service.py", "command_loop.py"):
        shutil.copy(PROGRAMS / name, open_folder)
    become = ("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")
    program = str(open_folder / "leaky_service.py")
    with running(program, *SERVICE, python=anyones_python(), launcher=become) as target:
        yield target.pid


def dumped(rights: Rights, pid: int) -> subprocess.CompletedProcess[str]:
    """What leakscope with these rights says of a process; of another user's, run as root."""
    assert rights.user == 0
    return subprocess.run(
        [*rights.launcher(), sys.executable, "-m", "leakscope", "dump", str(pid), "--json"],
        capture_output=True, check=False, text=True, timeout=60, env=unmeasured(),
    )  # fmt: skip


def saw_the_pool(run: subprocess.CompletedProcess[str]) -> bool:
    assert run.returncode == 0, run.stderr
    sites = {group["site"]["function"]: group["count"] for group in checked(run.stdout)["groups"]}
    return bool(sites["pool_worker"] == WORKERS)


def yama_forbids() -> bool:
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    return scope.exists() and scope.read_text().strip() != "0"


def beside(launcher: int) -> tuple[str, ...]:
    """What has a command run in the process namespace that this process has made."""
    return "nsenter", "--target", str(only_child(launcher)), "--pid", "--mount"


def only_child(pid: int) -> int:
    """The only process that this one has started."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())


def image(folder: Path) -> str:
    """The PATH of a container that has leakscope and Python."""
    for name, command in {"leakscope": "-m leakscope", "python3": ""}.items():
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


# --- what the recipes ask for ---------------------------------------------------------------------


def test_every_recipe_asks_for_no_more_than_one_capability(written, tmp_path):
    assert rights_in_pod("kubernetes/sidecar.yaml") == ROOT_WITH_ONE
    assert rights_in_daemonset() == ROOT_WITH_ONE
    attached = yaml.safe_load(FILES["kubernetes/debug-container.yaml"])
    assert of_container(attached, {}) == ROOT_WITH_ONE
    docker = stand_in(tmp_path, "docker")
    watch = str(written / "docker/watch.sh")
    asked = docker(watch, "app", "watch", "--duration", "5m")
    assert of_docker_run(asked) == ROOT_WITH_ONE
    assert asked[-3:] == ["watch", "--duration", "5m"]
    assert "--pid=container:app" in asked
    asked = docker(watch, "app", "ps", LEAKSCOPE_USER="10001:10001")
    assert of_docker_run(asked) == ROOT_WITH_ONE._replace(user=10001, capabilities=frozenset())


def test_the_sidecar_of_the_same_user_passes_the_restricted_standard():
    pod = documents("kubernetes/sidecar-same-user.yaml")["Pod"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostPID", "hostNetwork", "hostIPC", "volumes"} & pod.keys()
    for container in pod["containers"]:
        said = container["securityContext"]
        assert said["capabilities"] == {"drop": ["ALL"]}
        assert said["allowPrivilegeEscalation"] is False
        assert not {"runAsUser", "privileged"} & said.keys()  # the same user, the pod's


def test_the_debugging_container_is_customised_by_the_file_beside_the_script(written, tmp_path):
    kubectl = stand_in(tmp_path, "kubectl")
    script = str(written / "kubernetes/debug.sh")
    asked = kubectl(script, "pod-1", "app", "watch", "--duration", "5m")
    assert asked[:2] == ["debug", "pod-1"]
    assert "--target=app" in asked
    assert "--profile=general" in asked
    (custom,) = [word.removeprefix("--custom=") for word in asked if word.startswith("--custom=")]
    assert Path(custom).samefile(written / "kubernetes/debug-container.yaml")
    assert asked[asked.index("--") :] == ["--", "leakscope", "watch", "--duration", "5m"]


@pytest.mark.parametrize(
    ("client", "command", "recipe"),
    [
        ("docker", ("run", "--help"), "docker/watch.sh"),
        ("kubectl", ("debug", "--help"), "kubernetes/debug.sh"),
    ],
)
def test_the_client_knows_the_options(client, command, recipe, written, tmp_path):
    if shutil.which(client) is None:
        pytest.skip(f"there is no {client} here")
    known = subprocess.run([client, *command], capture_output=True, check=False, text=True).stdout
    asked = stand_in(tmp_path, client)(str(written / recipe), "one", "two", "three")
    options = asked[: asked.index("--")] if "--" in asked else asked
    missing = [
        word for word in options if word.startswith("--") and word.split("=")[0] not in known
    ]
    assert not missing


@pytest.mark.parametrize("script", [path for path in FILES if path.endswith(".sh")])
def test_a_script_says_how_it_is_used(script, written):
    run = subprocess.run(["sh", str(written / script)], capture_output=True, check=False, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith("usage: ")


# --- whether that is enough -----------------------------------------------------------------------


def test_root_with_one_capability_sees_the_process_of_another_user(of_nobody):
    need(*ROOT_WITH_ONE.launcher())
    assert saw_the_pool(dumped(ROOT_WITH_ONE, of_nobody))


def test_root_with_one_capability_sees_a_process_with_all(tmp_path):
    need(*ROOT_WITH_ONE.launcher())
    with running("leaky_service.py", *SERVICE) as target:
        assert saw_the_pool(dumped(ROOT_WITH_ONE, target.pid))
        without = ROOT_WITH_ONE._replace(capabilities=frozenset())
        refused = dumped(without, target.pid)
    assert refused.returncode == 4, "then it asks for a right that it does not need"
    assert "SYS_PTRACE" in refused.stderr


def test_the_same_user_sees_it_with_no_capability(of_nobody, open_folder):
    rights = rights_in_pod("kubernetes/sidecar-same-user.yaml")
    assert rights == ROOT_WITH_ONE._replace(user=rights.user, capabilities=frozenset())
    need(*rights.launcher())
    run = as_nobody(open_folder, "dump", str(of_nobody), "--json", launcher=rights.launcher())
    if yama_forbids():
        assert run.returncode == 4
        assert "ptrace_scope" in run.stderr
    else:
        assert saw_the_pool(run)


def test_another_user_with_no_capability_is_told_what_it_lacks(open_folder):
    rights = rights_in_pod("kubernetes/sidecar-same-user.yaml")
    need(*rights.launcher())
    with running("leaky_service.py", *SERVICE) as target:
        run = as_nobody(open_folder, "dump", str(target.pid), launcher=rights.launcher())
    assert run.returncode == 4
    assert "not permitted" in run.stderr


def test_in_the_process_namespace_of_the_target_it_finds_the_only_python():
    """As `kubectl debug --target` and `docker run --pid=container:` have it."""
    need(*ALONE)
    with running("leaky_service.py", *SERVICE, launcher=ALONE) as target:
        run = subprocess.run(
            [*beside(target.pid), *ROOT_WITH_ONE.launcher(),
             sys.executable, "-m", "leakscope", "dump", "--json"],
            capture_output=True, check=False, text=True, timeout=60, env=unmeasured(),
        )  # fmt: skip
        assert saw_the_pool(run)
        assert json.loads(run.stdout)["targets"][0]["pid"] == 1


def script_of(path: str, port: int) -> str:
    """What a sidecar runs, but to be scraped here only, at this port."""
    container = containers(documents(path)["Pod"]["spec"])["leakscope"]
    assert container["command"] == ["sh", "-c"]
    (said,) = container["args"]
    script = str(said).replace(
        f"0.0.0.0:{container['ports'][0]['containerPort']}", f"127.0.0.1:{port}"
    )
    assert script != said
    return script


@pytest.mark.parametrize("path", ["kubernetes/sidecar.yaml", "kubernetes/sidecar-same-user.yaml"])
def test_a_sidecar_watches_the_program_of_its_pod(path, tmp_path):
    pod = documents(path)["Pod"]["spec"]
    container = containers(pod)["leakscope"]
    port = free_port()
    script = script_of(path, port)
    # As the user that the tests run as; the test of the rights is above.
    rights = of_container(container, pod)._replace(user=0, capabilities=frozenset({"SYS_PTRACE"}))
    need(*ALONE)
    need(*rights.launcher())
    path_of_image = image(tmp_path)
    with running("leaky_service.py", *SERVICE, launcher=ALONE) as target:
        command = [*beside(target.pid), *rights.launcher(), "sh", "-c", script]
        environment = {**unmeasured(), "PATH": path_of_image}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as sidecar:
            until(lambda: "leakscope_target_processes 1.0" in scraped(port))
            assert f"leakscope_target_threads {WORKERS + 1}.0" in scraped(port)
            os.kill(only_child(sidecar.pid), signal.SIGTERM)
            report, _ = sidecar.communicate(timeout=WAIT_S)
        assert sidecar.returncode == 0
        assert b"ended by signal" in report


@pytest.mark.parametrize("path", ["kubernetes/sidecar.yaml", "kubernetes/sidecar-same-user.yaml"])
def test_a_sidecar_that_is_there_first_waits_for_the_program(path, tmp_path):
    """And does not take its own helper for it, which is Python as well."""
    port = free_port()
    script = script_of(path, port).replace("sleep 10", "sleep 0.2")
    need(*ALONE)
    command = [*ALONE, "sh", "-c", script]
    environment = {**unmeasured(), "PATH": image(tmp_path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as sidecar:
        try:
            assert sidecar.stderr is not None
            assert sidecar.stderr.readline() == "there is no Python process yet\n"
            with running("leaky_service.py", *SERVICE, launcher=beside(sidecar.pid)):
                until(lambda: f"leakscope_target_threads {WORKERS + 1}.0" in scraped(port))
        finally:
            sidecar.kill()


def scraped(port: int) -> str:
    try:
        return fetched(f"http://127.0.0.1:{port}/metrics")
    except OSError:
        return ""  # not yet


# --- the node's loop ------------------------------------------------------------------------------


def file_of(pid: int) -> str:
    """What the figures of a process are called that is in no container, or in that of the tests."""
    containers = re.findall("[0-9a-f]{64}", Path(f"/proc/{pid}/cgroup").read_text())
    name = f"{containers[-1][:12]}-{inner_pid(pid)}" if containers else f"node-{pid}"
    return f"leakscope-{name}.prom"


def inner_pid(pid: int) -> str:
    (said,) = re.findall(r"^NSpid:.*\b(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.M)
    return str(said)


def wanted_by_node(said: str, pattern: str) -> list[str]:
    """What the node's loop would watch of these processes, as PID:NAME."""
    script = documents("kubernetes/daemonset.yaml")["ConfigMap"]["data"]["watch-node.sh"]
    _, _, rest = script.partition("wanted='")
    run = subprocess.run(
        [sys.executable, "-c", rest.partition("'")[0]],
        capture_output=True, check=True, input=said, text=True,
        env={**os.environ, "WATCH_PATTERN": pattern},
    )  # fmt: skip
    return run.stdout.split()


def test_a_worker_is_watched_with_what_it_descends_from(tmp_path):
    with running("preforked.py", str(tmp_path / "socket")) as target:
        master = psutil.Process(target.pid)
        until(lambda: bool(master.children()))
        workers = [child.pid for child in master.children()]
        listed = leakscope_cli("ps", "--json").stdout
        assert all(f'"pid":{pid},' in listed for pid in (target.pid, *workers))
        found = wanted_by_node(listed, "preforked")
        os.kill(target.pid, signal.SIGTERM)  # else its workers outlive it for a second
    pids = [int(one.partition(":")[0]) for one in found]
    assert target.pid in pids
    assert not set(pids) & set(workers)


def test_what_is_in_a_container_is_told_by_its_id_and_the_pid_in_there():
    need(*ALONE)
    container = os.urandom(32).hex()
    with running("leaky_service.py", *SERVICE, launcher=ALONE) as target:
        pid = only_child(target.pid)
        listed = json.dumps({"processes": [{"pid": pid, "command": ["gunicorn"]}]})
        with pids_cgroup(pid, name=f"cri-containerd-{container}.scope"):
            assert wanted_by_node(listed, "gunicorn") == [f"{pid}:{container[:12]}-1"]


def test_the_node_is_watched_process_by_process(tmp_path):
    rights = rights_in_daemonset()
    need(*rights.launcher())
    loop = tmp_path / "watch-node.sh"
    loop.write_text(documents("kubernetes/daemonset.yaml")["ConfigMap"]["data"]["watch-node.sh"])
    figures, state = tmp_path / "textfiles", tmp_path / "state"
    figures.mkdir()
    stale = figures / "leakscope-1.prom"
    stale.touch()
    folders = {"TEXTFILES": str(figures), "RUNNING": str(state)}
    settings = {"WATCH_PATTERN": "--pool 4 --requests 0 --pollers", "WATCH_AT_MOST": "2"}
    environment = {
        **unmeasured(), **folders, **settings,
        "LOOK_EACH_S": "0.5", "PATH": image(tmp_path),
    }  # fmt: skip
    # Of a container only the image is read-only: the folders that it writes to are mounted.
    writable = rights._replace(may_write=True)
    service = ("leaky_service.py", *SERVICE, "--pollers")
    with (
        running(*service, "1") as first,
        running(*service, "2") as second,
        subprocess.Popen(
            [*writable.launcher(), "sh", str(loop)], env=environment, start_new_session=True
        ) as agent,
    ):
        paths = [figures / file_of(target.pid) for target in (first, second)]
        try:
            until(lambda: all(path.exists() for path in paths))
            assert not stale.exists()
            first.end()
            until(lambda: not paths[0].exists())
            until(lambda: not (state / str(first.pid)).exists())
        finally:
            agent.send_signal(signal.SIGTERM)
        assert agent.wait(WAIT_S) == 0
        assert list(figures.iterdir()) == []
        assert list(state.iterdir()) == []


def test_a_node_whose_container_is_restarted_is_watched_again(tmp_path):
    """Killed, it takes no folder away, and those outlive it as the pod does."""
    loop = tmp_path / "watch-node.sh"
    loop.write_text(documents("kubernetes/daemonset.yaml")["ConfigMap"]["data"]["watch-node.sh"])
    figures, state = tmp_path / "textfiles", tmp_path / "state"
    figures.mkdir()
    environment = {
        **unmeasured(), "TEXTFILES": str(figures), "RUNNING": str(state), "LOOK_EACH_S": "0.5",
        "WATCH_PATTERN": "--pool 4 --requests 0 --pollers 3", "WATCH_AT_MOST": "1",
        "PATH": image(tmp_path),
    }  # fmt: skip
    with running("leaky_service.py", *SERVICE, "--pollers", "3") as target:
        path = figures / file_of(target.pid)
        for end in (signal.SIGKILL, signal.SIGTERM):
            with subprocess.Popen(["sh", str(loop)], env=environment, start_new_session=True) as it:
                try:
                    until(path.exists)
                finally:
                    # To all that it has started, as the end of a container kills them.
                    kill = os.killpg if end == signal.SIGKILL else os.kill
                    kill(it.pid, end)
                it.wait(WAIT_S)
            assert (state / str(target.pid)).exists() is (end == signal.SIGKILL)
            path.unlink(missing_ok=True)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
