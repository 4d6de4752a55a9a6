"""What the findings about a process amount to: what can be seen, what can't and what to do. Pure.

A rule for each line of `leakscope doctor`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from leakscope.checkup import (
    Check,
    Checkup,
    Files,
    Findings,
    KernelFile,
    Life,
    Looker,
    Native,
    Presence,
    Python,
    Refusal,
    Status,
    Trial,
    Unknown,
)
from leakscope.errors import NoSuchProcess, NotPermitted, Unsupported
from leakscope.limits import Limit
from leakscope.printable import clipped
from leakscope.spans import duration

# py-spy 0.4 gives up above this many threads; from three quarters of it on, that is worth knowing.
MOST_THREADS = 4096
_MANY_THREADS = MOST_THREADS * 3 // 4

# Measured: for how long a blocking dump stops its target, a thread. Before 3.11 py-spy unwinds
# native stacks as well, to find the thread ids.
_PAUSE_S = 0.0002
_PAUSE_BEFORE_3_11_S = 0.00033
# A request that is held up for longer than this is felt.
_FELT_S = 0.1

# py-spy attaches to these; leakscope is tested on them.
_OLDEST, _NEWEST = (3, 8), (3, 15)

# Before this age a program is likely still importing, and starting what it will keep.
_YOUNG_S = 2.0

# From this share of a limit on, a burst may reach it.
_NEARLY = 0.9

_SHOWN_NATIVES = 5

# What a line has room for; JSON has the command line whole, with the target.
_LONGEST_COMMAND = 60

_STOPPED = "Tt"
_ENDED = "ZX"


def checkup(findings: Findings) -> Checkup:
    """The checks, and what they come to."""
    checks = tuple(_checks(findings))
    trial = findings.trial
    status = exit_status(findings)
    return Checkup(
        target=findings.target,
        began_at=findings.began_at,
        checks=checks,
        exit_status=status,
        summary=_summary(findings, checks, status),
        threads=trial.threads if trial else None,
        os_threads=_os_threads(findings),
        dump_s=trial.took_s if trial and not trial.refusal else None,
        blocking_pause_s=_pause_s(findings),
    )


def exit_status(findings: Findings) -> int:
    """0 when the threads can be read; else as any other command would end."""
    if findings.presence is Presence.GONE:
        return NoSuchProcess.exit_code
    if findings.presence is Presence.HIDDEN:
        return NotPermitted.exit_code
    if isinstance(findings.pyspy, Refusal):
        return findings.pyspy.exit_status
    if findings.trial is None:
        return Unsupported.exit_code
    return findings.trial.refusal.exit_status if findings.trial.refusal else 0


_ENDINGS = {
    NoSuchProcess.exit_code: "there is no such process",
    NotPermitted.exit_code: "not permitted",
    Unsupported.exit_code: "its stacks cannot be read",
}


def _summary(findings: Findings, checks: Iterable[Check], status: int) -> str:
    pid = findings.target.pid
    if status:
        return f"process {pid} can't be looked at: {_ENDINGS[status]}"
    counts = [(kind, sum(check.status is kind for check in checks)) for kind in Status]
    said = ", ".join(
        f"{count} {kind.value if kind is Status.OK or count == 1 else kind.value + 's'}"
        for kind, count in counts
        if count
    )
    return f"process {pid} can be looked at: {said}"


def _checks(findings: Findings) -> Iterator[Check]:
    yield _process(findings)
    if findings.presence is not Presence.THERE:
        return
    life = findings.life
    if isinstance(life, Life) and (life.state in _ENDED or life.is_kernel_thread):
        return  # there is nothing more to be seen of it
    for rule in _RULES:
        yield from rule(findings)


def _ok(name: str, found: str) -> Check:
    return Check(name, Status.OK, found)


def _note(name: str, found: str, advice: str = "") -> Check:
    return Check(name, Status.NOTE, found, advice)


def _problem(name: str, found: str, advice: str = "") -> Check:
    return Check(name, Status.PROBLEM, found, advice)


def _unknown(name: str, unknown: Unknown) -> Check:
    return _note(name, f"unknown, because {unknown.why}")


# --- the process ----------------------------------------------------------------------------------


def _process(findings: Findings) -> Check:
    pid = findings.target.pid
    if findings.presence is Presence.GONE:
        return _problem(
            "process",
            f"there is no process {pid}",
            "`leakscope ps` lists the Python processes that you can look at.",
        )
    if findings.presence is Presence.HIDDEN:
        return _problem(
            "process",
            f"there is a process {pid}, and /proc does not show it to this user (hidepid)",
            "Run leakscope as root.",
        )
    command = clipped(" ".join(findings.target.command), _LONGEST_COMMAND)
    what = f"pid {pid}: {command}" if command else f"pid {pid}"
    life = findings.life
    if isinstance(life, Unknown):
        return _ok("process", what)
    if life.state in _ENDED:
        return _problem(
            "process",
            f"{pid} has ended, and its parent has not asked how: it is a zombie",
            "Nothing is left of it to look at.",
        )
    if life.is_kernel_thread:
        return _problem("process", f"{pid} is a thread of the kernel, not a program")
    if life.leader != pid:
        return _note(
            "process", f"{pid} is a thread of process {life.leader}", f"Look at {life.leader}."
        )
    return _ok("process", what)


_STATES = {
    "R": "its main thread runs",
    "S": "its main thread waits",
    "D": "its main thread is in a wait of the kernel that no signal ends",
}


def _state(findings: Findings) -> Iterator[Check]:
    life = findings.life
    if isinstance(life, Unknown):
        yield _unknown("state", life)
    elif life.tracer:
        yield _note(
            "state",
            f"traced by process {life.tracer}: no one else can stop it, so --blocking fails",
            "Look without --blocking, or end the other tracer.",
        )
    elif life.state in _STOPPED:
        yield _note(
            "state",
            "stopped (SIGSTOP): none of its threads runs, and --blocking fails",
            f"Look without --blocking, or let it go on: kill -CONT {findings.target.pid}",
        )
    elif life.age_s < _YOUNG_S:
        yield _note(
            "state",
            f"started {duration(life.age_s)} ago: it may still be importing, and starting the "
            "threads that it will keep",
            "Watch it once it serves.",
        )
    else:
        doing = _STATES.get(life.state, f"its main thread is in state {life.state}")
        yield _ok("state", f"{doing}; started {duration(life.age_s)} ago")


# --- who may look ---------------------------------------------------------------------------------


def _owner(findings: Findings) -> Iterator[Check]:
    owner, looker = findings.owner, findings.looker
    if isinstance(owner, Unknown):
        yield _unknown("owner", owner)
        return
    found = f"runs as {owner.user} (uid {owner.uid})"
    if not owner.is_dumpable:
        found += "; it may not be dumped (it changed its user, or asked for that)"
    if looker.may_trace or (owner.uid == looker.uid and owner.is_dumpable):
        yield _ok("owner", found)
    else:
        yield _note("owner", f"{found}, and leakscope as {looker.user} (uid {looker.uid})")


_YAMA = (
    "Yama lets a user trace the own processes (ptrace_scope 0)",
    "Yama lets a user trace the own children only (ptrace_scope 1)",
    "Yama lets only root trace (ptrace_scope 2)",
    "Yama lets no one trace until the next boot (ptrace_scope 3)",
)


def _rights(findings: Findings) -> Iterator[Check]:
    looker, trial = findings.looker, findings.trial
    has = ", ".join(_rights_of(looker))
    refusal = trial.refusal if trial else None
    if refusal and refusal.exit_status == NotPermitted.exit_code:
        yield _problem("rights", f"they do not suffice: {has}", refusal.advice)
    elif trial and trial.threads is not None:
        yield _ok("rights", f"they suffice: {has}")
    else:
        yield _note("rights", f"not put to the test: {has}")


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


def _namespaces(findings: Findings) -> Iterator[Check]:
    spaces = findings.namespaces
    if isinstance(spaces, Unknown):
        yield _unknown("namespaces", spaces)
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
        yield _note("namespaces", "; ".join([*notes, where] if where else notes))
    else:
        yield _ok("namespaces", "; ".join(["the same as leakscope's", *([where] if where else [])]))


# --- Python and py-spy ----------------------------------------------------------------------------


def _python(findings: Findings) -> Iterator[Check]:
    files = findings.files
    if isinstance(files, Unknown):
        yield _unknown("python", files)
    elif files.python is None:
        yield _problem(
            "python",
            "it does not look like Python: none of its files is an interpreter",
            "`leakscope ps` lists the Python processes that you can look at.",
        )
    else:
        yield _build(files.python)


def _is_not_python(findings: Findings) -> bool:
    return isinstance(findings.files, Files) and findings.files.python is None


def _build(python: Python) -> Check:
    kind = {
        None: ", build unknown",
        "": "",
        "d": ", debug build",
        "t": ", free-threaded build",
        "td": ", free-threaded debug build",
    }.get(python.abi_flags, f", build {python.abi_flags!r}")
    place = f", {python.file}" if python.file else ""
    found = f"CPython {python.version}{kind}{place}"
    minor = minor_of(python.version)
    if python.abi_flags and "t" in python.abi_flags:
        return _problem(
            "python",
            f"{found}: py-spy does not know free-threaded builds (benfred/py-spy#711), and their "
            "stacks may be wrong or missing",
            "Run the program under the usual build, if you can.",
        )
    if minor is not None and not _OLDEST <= minor <= _NEWEST:
        return _note("python", f"{found}: leakscope is tested on 3.8 to 3.15")
    if minor is not None and minor < (3, 11):
        return _note(
            "python",
            f"{found}: without --blocking py-spy gives no thread ids here; leakscope matches "
            "threads with the kernel's by the order of their births",
        )
    return _ok("python", found)


def minor_of(version: str) -> tuple[int, int] | None:
    """`3.11.7` as (3, 11); None for what is no version."""
    parts = version.split(".")
    if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        return None
    return int(parts[0]), int(parts[1])


def _pyspy(findings: Findings) -> Iterator[Check]:
    if isinstance(findings.pyspy, Refusal):
        yield _problem("py-spy", findings.pyspy.message, findings.pyspy.advice)
    else:
        yield _ok("py-spy", findings.pyspy)


def _dump(findings: Findings) -> Iterator[Check]:
    trial = findings.trial
    if trial is None:
        yield _note("dump", "not tried: there is no py-spy to try it with")
        return
    refusal = trial.refusal
    if refusal is None:
        tries = f", at try {trial.tries}: threads came and went" if trial.tries > 1 else ""
        yield _ok(
            "dump",
            f"{_count(trial.threads or 0, 'thread')} in {_ms(trial.took_s)}, "
            f"without stopping the process{tries}",
        )
    elif refusal.exit_status == NotPermitted.exit_code:
        yield _problem("dump", refusal.message)  # what to do stands at the rights
    else:
        tries = f" (tried {trial.tries} times)" if trial.tries > 1 else ""
        yield _problem("dump", refusal.message + tries, _after(refusal, findings))


def _after(refusal: Refusal, findings: Findings) -> str:
    """What to do after a dump that failed."""
    if _is_not_python(findings):
        return ""  # it stands with its Python
    if refusal.advice:
        return refusal.advice
    if (_os_threads(findings) or 0) > MOST_THREADS:
        return "Counts, births and deadlines are told without py-spy; its stacks are not."
    return (
        "Try again: it may pass. If it stays, a stack may be deeper than 4096 frames, where "
        "py-spy gives up too; or the process holds an interpreter that py-spy does not find."
    )


def _blocking(findings: Findings) -> Iterator[Check]:
    if _is_not_python(findings):
        return
    life, files = findings.life, findings.files
    if isinstance(life, Life) and (life.tracer or life.state in _STOPPED):
        yield _note("blocking", "--blocking would fail: see its state")
        return
    pause_s = _pause_s(findings)
    if pause_s is None:
        why = files.why if isinstance(files, Unknown) else "the threads are not counted"
        yield _unknown("blocking", Unknown(why))
        return
    said = f"--blocking would stop it for about {_ms(pause_s)} at each dump"
    if pause_s < _FELT_S:
        yield _ok("blocking", said)
    else:
        yield _note("blocking", said, "Look without it; that is the default.")


def _pause_s(findings: Findings) -> float | None:
    """For how long a blocking dump would stop the process, by what was measured elsewhere."""
    threads = _os_threads(findings)
    if threads is None or isinstance(findings.files, Unknown) or findings.files.python is None:
        return None
    minor = minor_of(findings.files.python.version)
    old = minor is not None and minor < (3, 11)
    return threads * (_PAUSE_BEFORE_3_11_S if old else _PAUSE_S)


# --- threads --------------------------------------------------------------------------------------


def _os_threads(findings: Findings) -> int | None:
    trial = findings.trial
    if trial and trial.os_threads is not None:
        return trial.os_threads
    return None if isinstance(findings.life, Unknown) else findings.life.os_threads


def _threads(findings: Findings) -> Iterator[Check]:
    threads = _os_threads(findings)
    if threads is None:
        yield _note("threads", "unknown, because /proc does not tell")
        return
    found = f"{_count(threads, 'thread')} by the kernel's count; py-spy reads up to {MOST_THREADS}"
    if threads > MOST_THREADS:
        yield _problem(
            "threads",
            f"{found}, so it reads no stack of this process",
            "Restart the process, and watch it before it gets there.",
        )
    elif threads >= _MANY_THREADS:
        yield _note("threads", found, "Look now: above that there are no stacks.")
    else:
        yield _ok("threads", found)


def _native(findings: Findings) -> Iterator[Check]:
    trial = findings.trial
    if _is_not_python(findings):
        return
    if trial is None or trial.threads is None:
        yield _note("native threads", "unknown, because no dump tells the Python threads")
        return
    if trial.os_threads is None:
        yield _note("native threads", "unknown, because the kernel's threads are not counted here")
        return
    others = max(trial.os_threads - trial.threads, 0)
    if trial.natives is not None:
        others = len(trial.natives)
    if not others:
        yield _ok("native threads", "none: py-spy shows each thread that the kernel knows")
        return
    files = findings.files
    shown = f"py-spy shows {trial.threads} of {others + trial.threads} threads{_names(trial)}"
    loaded = files if isinstance(files, Files) else Files(None, (), None)
    main = findings.target.pid in [native.tid for native in trial.natives or ()]
    yield _native_check(shown, loaded, main_is_missing=main)


def _native_check(shown: str, files: Files, *, main_is_missing: bool) -> Check:
    """What threads are that py-spy does not show, as far as anything tells."""
    name = "native threads"
    if files.interpreters and main_is_missing:
        return _problem(
            name,
            f"{shown}, not even its main thread. It has loaded {files.interpreters}: py-spy shows "
            "one of its sub-interpreters, and not the main one",
            "Only the count of threads tells of a leak in what is not shown.",
        )
    if files.interpreters:
        return _note(
            name,
            f"{shown}. It has loaded {files.interpreters}, so others may be Python threads of "
            "sub-interpreters: py-spy shows one interpreter only",
            "Only the count of threads tells of a leak in what is not shown.",
        )
    if main_is_missing:
        return _note(
            name,
            f"{shown}, not even its main thread: Python was started in another one, as programs "
            "do that embed it, or py-spy shows a sub-interpreter",
        )
    if files.pools:
        libraries = ", ".join(files.pools)
        return _note(
            name, f"{shown}. Libraries that start threads of their own are loaded: {libraries}"
        )
    return _note(
        name,
        f"{shown}. The others are native, or Python threads of sub-interpreters: /proc does not "
        "tell, and no library is loaded that is known for either",
    )


def _names(trial: Trial) -> str:
    """` (the others: 4711 grpc_timer, ...)`: what the kernel calls them."""
    natives: tuple[Native, ...] = trial.natives or ()
    if not natives:
        return ""
    shown = ", ".join(f"{native.tid} {native.name}" for native in natives[:_SHOWN_NATIVES])
    rest = len(natives) - _SHOWN_NATIVES
    return f" (the others: {shown}{f' and {rest} more' if rest > 0 else ''})"


# --- what the kernel tells ------------------------------------------------------------------------

_LOST = {
    "stat": "no start times and no states: growth is told only as far as it is watched",
    "schedstat": "whether a thread ran between two looks: what is in use looks more like a leak",
    "syscall": "whether a wait has a deadline, and what it reads from",
    "wchan": "what waits in C are for; frames tell it of some",
}


def _kernel_files(findings: Findings) -> Iterator[Check]:
    files = findings.kernel_files
    if isinstance(files, Unknown):
        yield _unknown("kernel facts", files)
        return
    for file in files:
        yield _kernel_file(file)


def _kernel_file(file: KernelFile) -> Check:
    if file.trouble is None:
        return _ok(file.name, "readable")
    return _note(file.name, f"not readable ({file.trouble}); unknown: {_LOST[file.name]}")


def _limits(findings: Findings) -> Iterator[Check]:
    cgroups = findings.cgroups
    if isinstance(cgroups, Unknown):
        yield _unknown("limits", cgroups)
        return
    versions = " and ".join(cgroups.versions)
    where = f" (cgroup {versions})" if versions else ""
    counted = [limit for limit in cgroups.limits if limit.per_thread > 0]
    if counted:
        nearest = min(counted, key=_room)
        yield _limit(
            "thread limit",
            nearest,
            f"room for {_count(max(int(_room(nearest)), 0), 'more thread')}: {nearest.name}, "
            f"{nearest.used} used",
        )
    else:
        yield _note("thread limit", f"none could be read{where}")
    others = [limit for limit in cgroups.limits if limit.per_thread <= 0]
    if others:
        fullest = max(others, key=_share)
        yield _limit("memory limit", fullest, f"{fullest.name}, {_share(fullest):.0%} used")
    else:
        yield _ok("memory limit", f"no cgroup that can be read has one{where}")


def _limit(name: str, limit: Limit, found: str) -> Check:
    if _share(limit) >= _NEARLY:
        return _problem(name, f"{found}: it is close", "Raise it, or restart the process soon.")
    return _ok(name, found)


def _room(limit: Limit) -> float:
    return (limit.allowed - limit.used) / limit.per_thread


def _share(limit: Limit) -> float:
    return limit.used / limit.allowed if limit.allowed else 1.0


# --- words ----------------------------------------------------------------------------------------


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 else f"{seconds * 1000:.1f} ms"


# The order of the lines.
_RULES: tuple[Callable[[Findings], Iterator[Check]], ...] = (
    _state,
    _owner,
    _rights,
    _namespaces,
    _python,
    _pyspy,
    _threads,
    _dump,
    _blocking,
    _native,
    _kernel_files,
    _limits,
)
