"""Limits as /proc and the cgroup trees tell them: v1 and v2, from a host and from containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from leakscope.limits import Limit
from leakscope.sources.limits import limits_of, usage_of

PID = 4711
NO_LIMIT_V1 = 9223372036854771712
MIB = 1 << 20

V1_PIDS = "39 31 0:36 {root} {point} rw,relatime - cgroup cgroup rw,pids"
V1_MEMORY = "35 31 0:32 {root} {point} rw,relatime shared:9 - cgroup cgroup rw,memory"
V2 = "30 23 0:26 {root} {point} rw,nosuid shared:9 master:1 - cgroup2 cgroup2 rw,nsdelegate"
NOT_A_CGROUP = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755"


class Machine:
    """A made-up /proc and /sys."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, content: str | int) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{content}\n")

    def mounts(self, *lines: str, of: str | int = "self") -> None:
        self.write(f"/proc/{of}/mountinfo", "\n".join([NOT_A_CGROUP, *lines]))

    def pids(self, folder: str, allowed: str | int, used: int) -> None:
        self.write(f"{folder}/pids.max", allowed)
        self.write(f"{folder}/pids.current", used)

    def process(self, pid: int, uid: int, threads: int, rights: int = 0) -> None:
        status = f"Name:\tUid: 0\nUid:\t{uid}\t7\t7\t7\nThreads:\t{threads}\nCapEff:\t{rights:016x}"
        self.write(f"/proc/{pid}/status", status)

    def nproc(self, allowed: str | int) -> None:
        head = "Limit                     Soft Limit           Hard Limit           Units"
        line = f"{'Max processes':26}{allowed!s:21}{'9999':21}processes"
        self.write(f"/proc/{PID}/limits", f"{head}\n{line}\nMax open files  1024 4096 files")

    def limits(self) -> tuple[Limit, ...]:
        return limits_of(PID, self.root)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def pids(cgroup: str, allowed: int, used: int) -> Limit:
    return Limit(f"pids.max {allowed} (cgroup {cgroup})", used, allowed, 1.0)


def test_a_machine_that_tells_nothing_has_no_limits(machine):
    assert machine.limits() == ()


# --- cgroups --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mount", "entry"), [(V2, "0::"), (V1_PIDS, "8:pids:")], ids=["v2", "v1"])
def test_every_cgroup_above_counts(machine, mount, entry):
    machine.mounts(mount.format(root="/", point="/sys/fs/cgroup/x"))
    machine.write(f"/proc/{PID}/cgroup", f"9:name=systemd:/elsewhere\n{entry}/kubepods/pod1/c1")
    machine.write("/sys/fs/cgroup/x/cgroup.procs", "")  # the root has no limit
    machine.pids("/sys/fs/cgroup/x/kubepods", "max", 900)
    machine.pids("/sys/fs/cgroup/x/kubepods/pod1", 2048, 700)
    machine.pids("/sys/fs/cgroup/x/kubepods/pod1/c1", 512, 100)
    machine.pids("/sys/fs/cgroup/x/kubepods/pod2", 1, 1)
    assert machine.limits() == (
        pids("/kubepods/pod1/c1", 512, 100),
        pids("/kubepods/pod1", 2048, 700),
    )


@pytest.mark.parametrize(
    ("path", "top", "name"),
    [
        ("/", "/", "/"),  # a cgroup namespace of its own
        ("/docker/ab", "/docker/ab", "/docker/ab"),  # that of the host, its own part mounted
        ("/../b", "/../b", "/../b"),  # mounted from outside the namespace
        ("/ab", "/..", "/.."),  # mounted from above; the way down is not told
    ],
)
def test_in_a_container_the_mount_begins_at_its_cgroup(machine, path, top, name):
    machine.mounts(V2.format(root=top, point="/sys/fs/cgroup"))
    machine.write(f"/proc/{PID}/cgroup", f"0::{path}")
    machine.pids("/sys/fs/cgroup", 2048, 9)
    assert machine.limits() == (pids(name, 2048, 9),)


@pytest.mark.parametrize(("path", "top"), [("/../b", "/"), ("/b", "/a"), ("/../b", "/../a")])
def test_the_limits_of_another_part_of_the_tree_are_not_taken(machine, path, top):
    machine.mounts(V2.format(root=top, point="/sys/fs/cgroup"))
    machine.write(f"/proc/{PID}/cgroup", f"0::{path}")
    machine.pids("/sys/fs/cgroup", 2048, 9)
    machine.pids("/sys/fs/b", 2048, 9)
    assert machine.limits() == ()


def test_from_a_sidecar_the_cgroups_are_read_through_the_process(machine):
    machine.mounts(V2.format(root="/", point="/sys/fs/cgroup"))
    machine.mounts(V2.format(root="/../app", point="/sys/fs/cgroup"), of=PID)
    machine.write(f"/proc/{PID}/cgroup", "0::/../app")
    machine.pids("/sys/fs/cgroup", 100, 1)
    machine.pids(f"/proc/{PID}/root/sys/fs/cgroup", 2048, 9)
    assert machine.limits() == (pids("/../app", 2048, 9),)


def test_of_two_mounts_the_one_that_shows_more_is_read(machine):
    machine.mounts(
        V2.format(root="/pod1/c1", point="/mnt/part"), V2.format(root="/", point="/sys/fs/cgroup")
    )
    machine.write(f"/proc/{PID}/cgroup", "0::/pod1/c1")
    machine.pids("/mnt/part", 512, 9)
    machine.pids("/sys/fs/cgroup/pod1", 2048, 10)
    machine.pids("/sys/fs/cgroup/pod1/c1", 512, 9)
    assert machine.limits() == (pids("/pod1/c1", 512, 9), pids("/pod1", 2048, 10))


def test_a_path_may_hold_blanks_and_colons(machine):
    machine.mounts(V2.format(root="/", point=r"/mnt/c\040groups"))
    machine.write(f"/proc/{PID}/cgroup", "0::/app a:b")
    machine.pids("/mnt/c groups/app a:b", 64, 9)
    assert machine.limits() == (pids("/app a:b", 64, 9),)


def test_a_hybrid_machine_has_its_limits_in_v1(machine):
    machine.mounts(
        V1_PIDS.format(root="/", point="/sys/fs/cgroup/pids"),
        V2.format(root="/", point="/sys/fs/cgroup/unified"),
    )
    machine.write(f"/proc/{PID}/cgroup", "8:pids:/a\n0::/a")
    machine.pids("/sys/fs/cgroup/pids/a", 64, 9)
    machine.write("/sys/fs/cgroup/unified/a/cgroup.procs", "")
    assert machine.limits() == (pids("/a", 64, 9),)


def test_memory_in_v2_leaves_out_the_cache_that_can_be_dropped(machine):
    machine.mounts(V2.format(root="/", point="/sys/fs/cgroup"))
    machine.write(f"/proc/{PID}/cgroup", "0::/a/b")
    machine.write("/sys/fs/cgroup/a/memory.max", 512 * MIB)
    machine.write("/sys/fs/cgroup/a/memory.current", 400 * MIB)
    machine.write("/sys/fs/cgroup/a/memory.stat", f"anon 1\ninactive_file {150 * MIB}\nslab 2")
    machine.write("/sys/fs/cgroup/a/b/memory.max", "max")
    machine.write("/sys/fs/cgroup/a/b/memory.current", 1)
    assert machine.limits() == (Limit("memory.max 512 MiB (cgroup /a)", 250 * MIB, 512 * MIB, 0.0),)


def test_memory_in_v1(machine):
    machine.mounts(V1_MEMORY.format(root="/", point="/sys/fs/cgroup/memory"))
    machine.write(f"/proc/{PID}/cgroup", "4:memory:/a")
    folder = "/sys/fs/cgroup/memory"
    machine.write(f"{folder}/memory.limit_in_bytes", NO_LIMIT_V1)
    machine.write(f"{folder}/memory.usage_in_bytes", 1)
    machine.write(f"{folder}/a/memory.limit_in_bytes", 1536 * MIB)
    machine.write(f"{folder}/a/memory.usage_in_bytes", 400 * MIB)
    machine.write(f"{folder}/a/memory.stat", f"inactive_file 1\ntotal_inactive_file {MIB}")
    name = "memory.limit_in_bytes 1.5 GiB (cgroup /a)"
    assert machine.limits() == (Limit(name, 399 * MIB, 1536 * MIB, 0.0),)


@pytest.mark.parametrize("content", ["", "many", "-"])
def test_a_limit_that_cannot_be_read_is_left_out(machine, content):
    machine.mounts(V2.format(root="/", point="/sys/fs/cgroup"), "a line of some other kind")
    machine.write(f"/proc/{PID}/cgroup", "0::/a\nnonsense\n::")
    machine.pids("/sys/fs/cgroup/a", content, 1)
    assert machine.limits() == ()


# --- the user -------------------------------------------------------------------------------------


def test_the_threads_of_all_processes_of_the_user_count(machine):
    machine.nproc(4096)
    machine.process(PID, 123456789, 20)
    machine.process(4712, 123456789, 3)
    machine.process(4713, 1000, 100)
    machine.write("/proc/cpuinfo/status", "Uid: 123456789\nThreads: 5")
    (limit,) = machine.limits()
    assert limit == Limit("RLIMIT_NPROC 4096 (user 123456789)", 23, 4096, 1.0)


@pytest.mark.parametrize(
    ("uid", "rights", "uid_map", "holds"),
    [
        (0, 0, "0 0 4294967295", False),
        (0, 0, "", False),
        (1000, 1 << 24, "0 0 4294967295", False),
        (1000, 1 << 21, "0 0 4294967295", False),
        (1000, 1 << 19, "0 0 4294967295", True),
        (0, 1 << 24, "0 100000 65536", True),  # root of its own container
    ],
)
def test_whom_the_limit_of_a_user_binds(machine, uid, rights, uid_map, holds):
    machine.nproc(4096)
    machine.process(PID, uid, 20, rights)
    machine.write(f"/proc/{PID}/uid_map", uid_map)
    assert bool(machine.limits()) is holds


def test_an_unlimited_user_has_no_limit(machine):
    machine.nproc("unlimited")
    machine.process(PID, 1000, 20)
    assert machine.limits() == ()


# --- the machine, the address space, usage --------------------------------------------------------


def test_the_limits_of_the_kernel(machine):
    machine.write("/proc/loadavg", "0.45 0.27 0.16 1/201 1709")
    machine.write("/proc/sys/kernel/threads-max", 192730)
    machine.write("/proc/sys/kernel/pid_max", 32768)
    machine.write("/proc/sys/vm/max_map_count", 65530)
    machine.write(f"/proc/{PID}/maps", "a\nb\nc")
    assert machine.limits() == (
        Limit("kernel.threads-max 192730", 201, 192730, 1.0),
        Limit("kernel.pid_max 32768", 201, 32768, 1.0),
        Limit("vm.max_map_count 65530", 3, 65530, 2.0),
    )


def test_what_cannot_be_read_of_usage_is_unknown(machine):
    usage = usage_of(PID, 1.5, 7, machine.root)
    assert (usage.elapsed_s, usage.threads) == (1.5, 7)
    assert (usage.rss_bytes, usage.descriptors) == (None, None)
