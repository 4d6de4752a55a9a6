"""Is it there, whose is it, and may leakscope look into it."""

from __future__ import annotations

from collections.abc import Iterator

from leakscope.checks.marks import note, ok, problem, unknown
from leakscope.checkup import (
    Check,
    Findings,
    Looker,
    Presence,
    Unknown,
)
from leakscope.errors import NotPermitted
from leakscope.printable import clipped
from leakscope.spans import duration

# Before this age a program is likely still importing, and starting what it will keep.
_YOUNG_S = 2.0

# What a line has room for; JSON has the command line whole, with the target.
_LONGEST_COMMAND = 60

# States as in /proc/PID/stat.
STOPPED = "Tt"
ENDED = "ZX"


def process(findings: Findings) -> Check:
    """Whether there is such a process."""
    pid = findings.target.pid
    if findings.presence is Presence.GONE:
        return problem(
            "process",
            f"there is no process {pid}",
            "`leakscope ps` lists the Python processes that you can look at.",
        )
    if findings.presence is Presence.HIDDEN:
        return problem(
            "process",
            f"there is a process {pid}, and /proc does not show it to this user (hidepid)",
            "Run leakscope as root.",
        )
    command = clipped(" ".join(findings.target.command), _LONGEST_COMMAND)
    what = f"pid {pid}: {command}" if command else f"pid {pid}"
    life = findings.life
    if isinstance(life, Unknown):
        return ok("process", what)
    if life.state in ENDED:
        return problem(
            "process",
            f"{pid} has ended, and its parent has not asked how: it is a zombie",
            "Nothing is left of it to look at.",
        )
    if life.is_kernel_thread:
        return problem("process", f"{pid} is a thread of the kernel, not a program")
    if life.leader != pid:
        return note(
            "process", f"{pid} is a thread of process {life.leader}", f"Look at {life.leader}."
        )
    return ok("process", what)


_STATES = {
    "R": "its main thread runs",
    "S": "its main thread waits",
    "D": "its main thread is in a wait of the kernel that no signal ends",
}


def state(findings: Findings) -> Iterator[Check]:
    """What it does, where that stands in the way."""
    life = findings.life
    if isinstance(life, Unknown):
        yield unknown("state", life)
    elif life.tracer:
        yield note(
            "state",
            f"traced by process {life.tracer}: no one else can stop it, so --blocking fails",
            "Look without --blocking, or end the other tracer.",
        )
    elif life.state in STOPPED:
        yield note(
            "state",
            "stopped (SIGSTOP): none of its threads runs, and --blocking fails",
            f"Look without --blocking, or let it go on: kill -CONT {findings.target.pid}",
        )
    elif life.age_s < _YOUNG_S:
        yield note(
            "state",
            f"started {duration(life.age_s)} ago: it may still be importing, and starting the "
            "threads that it will keep",
            "Watch it once it serves.",
        )
    else:
        doing = _STATES.get(life.state, f"its main thread is in state {life.state}")
        yield ok("state", f"{doing}; started {duration(life.age_s)} ago")


def owner(findings: Findings) -> Iterator[Check]:
    """Whose it is."""
    owner, looker = findings.owner, findings.looker
    if isinstance(owner, Unknown):
        yield unknown("owner", owner)
        return
    found = f"runs as {owner.user} (uid {owner.uid})"
    if not owner.is_dumpable:
        found += "; it may not be dumped (it changed its user, or asked for that)"
    if looker.may_trace or (owner.uid == looker.uid and owner.is_dumpable):
        yield ok("owner", found)
    else:
        yield note("owner", f"{found}, and leakscope as {looker.user} (uid {looker.uid})")


_YAMA = (
    "Yama lets users trace their own processes (ptrace_scope 0)",
    "Yama lets users trace their own children only (ptrace_scope 1)",
    "Yama lets only root trace (ptrace_scope 2)",
    "Yama lets no one trace until the next boot (ptrace_scope 3)",
)


def rights(findings: Findings) -> Iterator[Check]:
    """Whether leakscope may look into it."""
    looker, trial = findings.looker, findings.trial
    has = ", ".join(_rights_of(looker))
    refusal = trial.refusal if trial else None
    if refusal and refusal.exit_status == NotPermitted.exit_code:
        yield problem("rights", f"they do not suffice: {has}", refusal.advice)
    elif trial and trial.threads is not None:
        yield ok("rights", f"they suffice: {has}")
    else:
        yield note("rights", f"not put to the test: {has}")


def _rights_of(looker: Looker) -> Iterator[str]:
    yield f"leakscope runs as {looker.user} (uid {looker.uid})"
    yield f"{'with' if looker.may_trace else 'without'} the capability SYS_PTRACE"
    if looker.in_user_namespace:
        yield "in a user namespace, outside of which that counts for nothing"
    if looker.container:
        yield f"in a container ({looker.container})"
    if looker.yama_scope is not None:
        yield _YAMA[min(looker.yama_scope, len(_YAMA) - 1)]


_KINDS = {"pid": "PID", "mnt": "mount", "user": "user"}


def namespaces(findings: Findings) -> Iterator[Check]:
    """Where it lives: in a container, say."""
    spaces = findings.namespaces
    if isinstance(spaces, Unknown):
        yield unknown("namespaces", spaces)
        return
    notes = []
    if spaces.own:
        kinds = " and ".join(_KINDS[kind] for kind in spaces.own)
        notes.append(f"it has a {kinds} namespace of its own, as in a container")
    if spaces.inner_pid is not None:
        notes.append(
            f"it is process {spaces.inner_pid} in there; leakscope maps the ids of its threads"
        )
    if spaces.root != "/":
        notes.append(f"its root is {spaces.root}")
    where = "leakscope is in a PID namespace inside the host's" if spaces.is_inner else ""
    if notes:
        yield note("namespaces", "; ".join([*notes, where] if where else notes))
    else:
        yield ok("namespaces", "; ".join(["the same as leakscope's", *([where] if where else [])]))
