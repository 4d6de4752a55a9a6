"""From findings to checks: each fact has its mark, its words and, where it helps, its advice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from leakscope.checks.reading import minor_of
from leakscope.checkup import (
    Cgroups,
    Check,
    Checkup,
    Files,
    Findings,
    KernelFile,
    Life,
    Looker,
    Namespaces,
    Native,
    Owner,
    Presence,
    Python,
    Refusal,
    Status,
    Trial,
    Unknown,
)
from leakscope.doctor import checkup
from leakscope.limits import Limit
from leakscope.model import Target
from leakscope.renderers.doctor_text import doctor_lines

PID = 4711
LIFE = Life("S", 3600.0, 12, None, False, PID)
ROOT = Looker(0, "root", True, None, False, None)
BOB = Looker(1000, "bob", False, 1, False, None)
BUILD = Python("3.11.7", "/usr/bin/python3.11", "")
TRIAL = Trial(0.0204, 1, 12, 0, (), 12, None)
DENIED = Refusal("not permitted to look into process 4711", "Run it as root: sudo leakscope", 4)
FAILED = Refusal("py-spy: Bad address", "", 5)
UNKNOWN = Unknown("/proc/4711: Permission denied")
KERNEL = tuple(KernelFile(name, None) for name in ("stat", "schedstat", "syscall", "wchan"))


def findings(**changes: Any) -> Findings:
    """Of a process that can be looked at without a remark, but for what is changed."""
    healthy = Findings(
        target=Target(PID, 1000.0, ("python3", "service.py"), "3.11.7"),
        began_at=1000.0,
        presence=Presence.THERE,
        life=LIFE,
        owner=Owner(0, "root", True),
        looker=ROOT,
        namespaces=Namespaces((), False, None, "/"),
        pyspy="0.4.3, /usr/bin/py-spy",
        files=Files(BUILD, (), None),
        kernel_files=KERNEL,
        cgroups=Cgroups(("v2",), (Limit("pids.max 2048 (cgroup /a)", 12, 2048, 1.0),)),
        trial=TRIAL,
    )
    return replace(healthy, **changes)


def examined(**changes: Any) -> Checkup:
    return checkup(findings(**changes))


def check(name: str, **changes: Any) -> Check:
    (found,) = [check for check in examined(**changes).checks if check.name == name]
    return found


def not_ok(**changes: Any) -> dict[str, Status]:
    checks = examined(**changes).checks
    return {check.name: check.status for check in checks if check.status is not Status.OK}


def refused(refusal: Refusal, tries: int = 1) -> Trial:
    return Trial(0.01, tries, None, None, (), 12, refusal)


def test_of_a_healthy_process_all_is_well():
    found = examined()
    assert {check.status for check in found.checks} == {Status.OK}
    assert (found.exit_status, found.dump_s) == (0, 0.0204)
    assert found.summary == f"process {PID} can be looked at: {len(found.checks)} ok"
    assert found.blocking_pause_s == pytest.approx(12 * 0.0002)
    assert not any(check.advice for check in found.checks)


# --- the exit status ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"presence": Presence.GONE, "trial": None}, 3),
        ({"presence": Presence.HIDDEN, "trial": None}, 4),
        ({"trial": refused(Refusal("it has ended", "", 3))}, 3),
        ({"trial": refused(DENIED)}, 4),
        ({"trial": refused(FAILED)}, 5),
        ({"trial": None, "pyspy": Refusal("py-spy is missing", "Install it.", 5)}, 5),
        ({"files": UNKNOWN, "owner": UNKNOWN, "kernel_files": UNKNOWN}, 0),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_exit_status_is_0_only_if_threads_can_be_read(changes, status):
    found = examined(**changes)
    assert found.exit_status == status
    assert ("can't be looked at" in found.summary) == bool(status)


def test_a_summary_counts_the_marks():
    young = replace_life(age_s=0.5)
    assert examined(life=young).summary.endswith(" ok, 1 note")
    assert examined(life=young, files=Files(replace_build("3.10.1"), (), None)).summary.endswith(
        " ok, 2 notes"
    )


def replace_life(**changes: Any) -> Life:
    return LIFE._replace(**changes)


def replace_build(version: str, flags: str | None = "") -> Python:
    return Python(version, "/usr/bin/python3", flags)


# --- what there is --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"presence": Presence.GONE},
        {"presence": Presence.HIDDEN},
        {"life": replace_life(state="Z")},
        {"life": replace_life(is_kernel_thread=True)},
    ],
    ids=lambda value: str(value)[:40],
)
def test_of_what_is_no_process_nothing_more_is_said(changes):
    (only,) = examined(trial=refused(FAILED), **changes).checks
    assert (only.name, only.status) == ("process", Status.PROBLEM)


def test_an_unknown_is_a_note_with_its_reason():
    names = ("life", "owner", "namespaces", "files", "kernel_files", "cgroups")
    found = examined(trial=refused(DENIED), **dict.fromkeys(names, UNKNOWN))
    said = {check.name: check for check in found.checks}
    for name in ("state", "owner", "namespaces", "python", "kernel facts", "limits", "blocking"):
        assert said[name].status is Status.NOTE
        assert said[name].found == f"unknown, because {UNKNOWN.why}"


def test_a_process_without_a_command_line():
    assert check("process", target=Target(PID)).found == f"pid {PID}"


def test_a_long_command_line_is_cut():
    assert len(check("process", target=Target(PID, command=("x" * 9999,))).found) < 80


@pytest.mark.parametrize(
    ("life", "words"),
    [
        (replace_life(tracer="99 (strace)", state="t"), "traced by process 99 (strace)"),
        (replace_life(state="T"), "stopped (SIGSTOP)"),
        (replace_life(age_s=0.5), "started 0.5 s ago"),
    ],
)
def test_a_state_that_matters(life, words):
    found = check("state", life=life)
    assert (found.status, bool(found.advice)) == (Status.NOTE, True)
    assert words in found.found


@pytest.mark.parametrize("state", ["R", "S", "D", "I"])
def test_other_states_do_not(state):
    assert check("state", life=replace_life(state=state)).status is Status.OK


# --- rights ---------------------------------------------------------------------------------------


def test_what_is_not_permitted_has_its_advice_with_the_rights():
    changes = {"looker": BOB, "trial": refused(DENIED)}
    rights = check("rights", **changes)
    assert (rights.status, rights.advice) == (Status.PROBLEM, DENIED.advice)
    assert "without the capability SYS_PTRACE" in rights.found
    assert "children only (ptrace_scope 1)" in rights.found
    assert check("dump", **changes).advice == ""
    assert not_ok(**changes)["owner"] is Status.NOTE


@pytest.mark.parametrize("scope", range(5))  # 4 is none yet
def test_every_yama_scope_has_words(scope):
    assert "Yama" in check("rights", looker=BOB._replace(yama_scope=scope)).found


def test_where_leakscope_runs_is_said():
    looker = ROOT._replace(in_user_namespace=True, container="Docker")
    found = check("rights", looker=looker).found
    assert "in a user namespace" in found
    assert "(Docker)" in found


def test_rights_that_were_not_used_are_not_said_to_suffice():
    assert check("rights", trial=refused(FAILED)).status is Status.NOTE


def test_the_own_process_needs_no_right():
    assert check("owner", looker=BOB, owner=Owner(1000, "bob", True)).status is Status.OK
    undumpable = check("owner", looker=BOB, owner=Owner(1000, "bob", False))
    assert undumpable.status is Status.NOTE
    assert "may not be dumped" in undumpable.found


def test_namespaces():
    found = check("namespaces", namespaces=Namespaces(("pid", "mnt"), True, 1, "/srv/jail"))
    assert found.status is Status.NOTE
    assert found.found == (
        "it has a PID and mount namespace of its own, as in a container; it is process 1 in there; "
        "leakscope maps the ids of its threads; its root is /srv/jail; "
        "leakscope is in a PID namespace inside the host's"
    )
    assert check("namespaces", namespaces=Namespaces((), True, None, "/")).status is Status.OK


# --- Python ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "flags", "status", "words"),
    [
        ("3.8.18", "", Status.NOTE, "no thread ids"),
        ("3.10.13", "", Status.NOTE, "no thread ids"),
        ("3.11.7", "", Status.OK, "CPython 3.11.7, "),
        ("3.15.2", "d", Status.OK, "debug build"),
        ("3.14.1", None, Status.OK, "build unknown"),
        ("3.14.1", "z", Status.OK, "build 'z'"),
        ("3.13.0", "t", Status.PROBLEM, "free-threaded build"),
        ("3.13.0", "td", Status.PROBLEM, "free-threaded debug build"),
        ("3.7.16", "m", Status.NOTE, "3.8 to 3.15"),
        ("3.16", "", Status.NOTE, "3.8 to 3.15"),
        ("3", "", Status.OK, "CPython 3, "),
    ],
)
def test_a_build_of_python(version, flags, status, words):
    found = check("python", files=Files(replace_build(version, flags), (), None))
    assert found.status is status
    assert words in found.found


@pytest.mark.parametrize(
    ("version", "minor"), [("3.11.7", (3, 11)), ("3.16", (3, 16)), ("3", None), ("a.b", None)]
)
def test_the_minor_version(version, minor):
    assert minor_of(version) == minor


def test_what_is_not_python_is_said_once():
    changes = {"files": Files(None, (), None), "trial": refused(Refusal("not Python", "ps", 5))}
    assert not_ok(**changes) == {
        "rights": Status.NOTE,
        "python": Status.PROBLEM,
        "dump": Status.PROBLEM,
    }
    assert check("dump", **changes).advice == ""
    assert examined(**changes).blocking_pause_s is None


def test_a_python_inside_another_program():
    changes = {"files": Files(None, (), None)}
    assert not_ok(**changes) == {"python": Status.NOTE, "blocking": Status.NOTE}
    assert examined(**changes).exit_status == 0


# --- threads and dumps ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("threads", "status"),
    [(3071, Status.OK), (3072, Status.NOTE), (4096, Status.NOTE), (4097, Status.PROBLEM)],
)
def test_the_count_of_threads(threads, status):
    trial = refused(FAILED) if threads > 4096 else TRIAL
    assert check("threads", trial=trial._replace(os_threads=threads)).status is status


def test_too_many_threads_and_what_is_left():
    trial = refused(FAILED)._replace(os_threads=4097)
    assert check("dump", trial=trial).advice.startswith("Counts, births and deadlines")
    assert "Try again" in check("dump", trial=refused(FAILED, 5)).advice
    assert check("dump", trial=refused(FAILED, 5)).found == "py-spy: Bad address (tried 5 times)"


def test_a_dump_without_py_spy():
    assert (
        check("dump", trial=None, pyspy=Refusal("missing", "Install it.", 5)).status is Status.NOTE
    )


@pytest.mark.parametrize(
    ("version", "threads", "pause_s", "status"),
    [
        ("3.11.7", 499, 0.0998, Status.OK),
        ("3.11.7", 500, 0.1, Status.NOTE),
        ("3.10.1", 1000, 0.33, Status.NOTE),
        ("3.10.1", 100, 0.033, Status.OK),
    ],
)
def test_what_blocking_would_cost(version, threads, pause_s, status):
    changes = {
        "files": Files(replace_build(version), (), None),
        "trial": TRIAL._replace(os_threads=threads),
    }
    assert examined(**changes).blocking_pause_s == pytest.approx(pause_s)
    assert check("blocking", **changes).status is status


@pytest.mark.parametrize("life", [replace_life(state="T"), replace_life(tracer="99")])
def test_where_blocking_would_fail(life):
    assert "would fail" in check("blocking", life=life).found


NATIVES = (Native(4712, "grpc"), *(Native(tid, "pool") for tid in range(4713, 4720)))


def others(natives=NATIVES, **loaded: Any) -> Check:
    files = Files(BUILD, (), None)._replace(**loaded)
    return check(
        "native threads", trial=TRIAL._replace(others=len(natives), natives=natives), files=files
    )


def test_native_threads_are_named_as_far_as_there_is_room():
    assert others().found.startswith(
        "py-spy shows 12 of 20 threads (the others: 4712 grpc, 4713 pool, 4714 pool, 4715 pool, "
        "4716 pool and 3 more)."
    )


def test_what_native_threads_may_be():
    assert "/proc does not tell" in others().found
    assert others(pools=("OpenBLAS", "gRPC")).found.endswith("loaded: OpenBLAS, gRPC")
    hint = others(interpreters="mod_wsgi")
    assert (hint.status, bool(hint.advice)) == (Status.NOTE, True)
    assert "mod_wsgi" in hint.found


def test_a_main_thread_that_py_spy_does_not_show():
    main = (Native(PID, "python"),)
    assert others(main, interpreters="mod_wsgi").status is Status.PROBLEM
    embedded = others(main, pools=("OpenBLAS",))
    assert embedded.status is Status.NOTE
    assert "embed" in embedded.found


def test_without_ids_native_threads_are_only_counted():
    found = check("native threads", trial=TRIAL._replace(others=2))
    assert found.found.startswith("py-spy shows 12 of 14 threads. ")


@pytest.mark.parametrize("trial", [refused(DENIED), TRIAL._replace(others=None)])
def test_native_threads_may_be_unknown(trial):
    assert check("native threads", trial=trial).found.startswith("unknown, because ")


# --- the kernel -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stat", "schedstat", "syscall", "wchan"])
def test_what_is_lost_without_a_file(name):
    found = check(name, kernel_files=(KernelFile(name, "Permission denied"),))
    assert found.status is Status.NOTE
    assert found.found.startswith("not readable (Permission denied); unknown: ")


def cgroups(*limits: Limit) -> Cgroups:
    return Cgroups(("v1", "v2"), limits)


def test_the_nearest_limit_is_told():
    wide = Limit("pids.max 2048 (cgroup /a)", 48, 2048, 1.0)
    near = Limit("vm.max_map_count 300", 100, 300, 2.0)
    memory = Limit("memory.max 1 GiB (cgroup /a)", 50, 100, 0.0)
    found = cgroups(wide, memory, near)
    assert check("thread limit", cgroups=found).found == (
        "room for 100 more threads: vm.max_map_count 300, 100 used"
    )
    assert check("memory limit", cgroups=found).found == "memory.max 1 GiB (cgroup /a), 50% used"


@pytest.mark.parametrize(("used", "status"), [(89, Status.OK), (90, Status.PROBLEM)])
@pytest.mark.parametrize(("name", "cost"), [("thread limit", 1.0), ("memory limit", 0.0)])
def test_a_limit_that_is_close(name, cost, used, status):
    assert check(name, cgroups=cgroups(Limit("x", used, 100, cost))).status is status


def test_a_limit_of_nothing_is_reached():
    found = check("thread limit", cgroups=cgroups(Limit("pids.max 0", 12, 0, 1.0)))
    assert found.status is Status.PROBLEM
    assert "room for 0 more threads" in found.found


def test_no_limits():
    found = cgroups()
    assert check("thread limit", cgroups=found).found == "none could be read (cgroup v1 and v2)"
    assert check("memory limit", cgroups=found).status is Status.OK


# --- text -----------------------------------------------------------------------------------------


def test_the_lines():
    checks = (
        Check("python", Status.OK, "CPython 3.11.7"),
        Check("rights", Status.PROBLEM, "they do not suffice", "Do this.\nOr that."),
    )
    assert list(doctor_lines(replace(examined(), checks=checks, summary="so it is"))) == [
        "so it is",
        "ok       python  CPython 3.11.7",
        "problem  rights  they do not suffice",
        "                 -> Do this.",
        "                 -> Or that.",
    ]


def test_nothing_of_the_process_reaches_the_terminal_raw():
    evil = "\x1b]0;owned\x07\u202e\n"
    lines = doctor_lines(
        checkup(
            findings(
                target=Target(PID, command=(evil,)),
                life=replace_life(tracer=f"99 ({evil})"),
                owner=Owner(1000, evil, True),
                namespaces=Namespaces((), False, None, f"/{evil}"),
                files=Files(Python("3.11", f"/{evil}", evil), (evil,), evil),
                cgroups=cgroups(Limit(f"pids.max (cgroup /{evil})", 1, 9, 1.0)),
                trial=TRIAL._replace(others=1, natives=(Native(1, evil),)),
            )
        )
    )
    text = list(lines)
    assert all(line.isprintable() for line in text)
    assert sum(r"\x1b]0;owned" in line for line in text) >= 6
