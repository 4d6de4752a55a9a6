"""Limits of real processes: what is named is what the kernel then refuses threads by."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from leakscope.limits import Limit, nearest_deadline, relative_error, thread_cost
from leakscope.sources.limits import limits_of, usage_of
from tests.cgroups import pids_cgroup

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits are read on Linux only")

# Starts as many threads as it is told to, and says how many it could start.
STARTER = """
import sys, threading
forever = threading.Event()
print("ready", flush=True)
for line in sys.stdin:
    started = 0
    try:
        for _ in range(int(line)):
            threading.Thread(target=forever.wait, daemon=True).start()
            started += 1
    except RuntimeError:
        pass
    print(started, flush=True)
"""


class Starter:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid

    def start(self, threads: int) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{threads}\n")
        self.process.stdin.flush()
        return int(self.answer())

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.fixture
def starter() -> Iterator[Starter]:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        target = Starter(process)
        assert target.answer() == "ready\n"
        yield target
        process.kill()


def named(limits: tuple[Limit, ...], beginning: str) -> Limit:
    (found,) = [limit for limit in limits if limit.name.startswith(beginning)]
    return found


def test_this_process_has_limits():
    limits = limits_of(os.getpid())
    for name in ("kernel.threads-max", "kernel.pid_max", "vm.max_map_count"):
        limit = named(limits, name)
        assert 0 < limit.used < limit.allowed
    deadline = nearest_deadline(limits, 60.0, relative_error(100))
    assert deadline is not None
    assert deadline.latest_s is not None
    assert 0 < deadline.earliest_s < deadline.seconds < deadline.latest_s


def test_a_process_that_has_gone_has_the_limits_of_the_machine_only():
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert all(limit.name.startswith("kernel.") for limit in limits_of(gone.pid))
    assert usage_of(gone.pid, 0.0, 1).rss_bytes is None


def test_threads_cost_maps_and_memory_but_no_descriptors(starter):
    maps_then = named(limits_of(starter.pid), "vm.max_map_count").used
    readings = [usage_of(starter.pid, 0.0, 1)]
    assert starter.start(200) == 200
    readings.append(usage_of(starter.pid, 1.0, 201))
    limit = named(limits_of(starter.pid), "vm.max_map_count")
    per_thread = (limit.used - maps_then) / 200
    # Heaps of malloc come on top, so many for each CPU; a libc may do without maps for guards.
    assert limit.per_thread / 2 <= per_thread <= 2 * limit.per_thread
    cost = thread_cost(readings)
    assert cost.descriptors == 0.0
    assert cost.memory_bytes is not None
    assert 4096 < cost.memory_bytes < 512 * 1024


@pytest.mark.fault(
    "Rights and places",
    "it lives in a cgroup with a pids.max of its own (v1 or v2, as the machine has it)",
    "That limit is named, and is the one that then refuses threads.",
)
def test_the_named_cgroup_is_the_one_that_refuses_threads(starter):
    with pids_cgroup(starter.pid, 20) as name:
        beginning = "pids.max 20 (cgroup /"
        limit = named(limits_of(starter.pid), beginning)
        assert limit.name.endswith(f"{name})")
        assert (limit.used, limit.allowed) == (1, 20)
        deadline = nearest_deadline(limits_of(starter.pid), 1.0, relative_error(100))
        assert deadline is not None
        assert (deadline.limit, deadline.seconds) == (limit, 19 * 60)
        assert starter.start(100) == 19
        assert named(limits_of(starter.pid), beginning).used == 20


@contextmanager
def soft_limit(kind: int, allowed: int) -> Iterator[None]:
    """What is started within the block has this limit."""
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (allowed, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")
def test_a_user_that_is_not_root_is_limited():
    with soft_limit(resource.RLIMIT_NPROC, 4095):
        process = subprocess.Popen(["sleep", "60"], user=65534, group=65534, extra_groups=[])
    with process:
        limit = named(limits_of(process.pid), "RLIMIT_NPROC 4095 (user ")
        process.kill()
    assert 1 <= limit.used < 4095


@pytest.mark.skipif(os.geteuid() != 0, reason="the tests do not run as root")
def test_root_has_no_limit_of_a_user():
    assert not [limit for limit in limits_of(os.getpid()) if limit.name.startswith("RLIMIT")]
