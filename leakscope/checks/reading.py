"""Can py-spy read its stacks, and at what cost."""

from __future__ import annotations

from collections.abc import Iterator

from leakscope.checks.access import STOPPED
from leakscope.checks.marks import count, note, ok, problem, unknown
from leakscope.checkup import (
    Check,
    Findings,
    Life,
    Python,
    Refusal,
    Unknown,
)
from leakscope.errors import NotPermitted
from leakscope.pauses import pause_per_thread_s

# py-spy 0.4 gives up above this many threads.
MOST_THREADS = 4096

# A request that is held up for longer than this is felt.
_FELT_S = 0.1

# py-spy attaches to these; leakscope is tested on them.
_OLDEST, _NEWEST = (3, 8), (3, 15)


def python(findings: Findings) -> Iterator[Check]:
    """Which Python it runs, and whether that build can be read."""
    files = findings.files
    if isinstance(files, Unknown):
        yield unknown("python", files)
    elif files.python is None and not findings.is_not_python:
        yield note("python", "py-spy reads one, and none of the files tells which")
    elif files.python is None:
        yield problem(
            "python",
            "it does not look like CPython: none of its files is an interpreter",
            "`leakscope ps` lists the Python processes that you can look at.",
        )
    else:
        yield _build(files.python)


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
        return problem(
            "python",
            f"{found}: py-spy does not know free-threaded builds (benfred/py-spy#711), and their "
            "stacks may be wrong or missing",
            "Run the program under the usual build, if you can.",
        )
    if minor is not None and not _OLDEST <= minor <= _NEWEST:
        return note("python", f"{found}: leakscope is tested on 3.8 to 3.15")
    if minor is not None and minor < (3, 11):
        return note(
            "python",
            f"{found}: without --blocking py-spy gives no thread ids here; leakscope matches "
            "threads with the kernel's by the order of their births",
        )
    return ok("python", found)


def minor_of(version: str) -> tuple[int, int] | None:
    """`3.11.7` as (3, 11); None for what is no version."""
    parts = version.split(".")
    if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        return None
    return int(parts[0]), int(parts[1])


def pyspy(findings: Findings) -> Iterator[Check]:
    """Which py-spy reads it."""
    if isinstance(findings.pyspy, Refusal):
        yield problem("py-spy", findings.pyspy.message, findings.pyspy.advice)
    else:
        yield ok("py-spy", findings.pyspy)


def dump(findings: Findings) -> Iterator[Check]:
    """What came of the trial dump."""
    trial = findings.trial
    if trial is None:
        yield note("dump", "not tried: there is no py-spy to try it with")
        return
    refusal = trial.refusal
    if refusal is None:
        tries = f", at try {trial.tries}: threads came and went" if trial.tries > 1 else ""
        yield ok(
            "dump",
            f"{count(trial.threads or 0, 'thread')} in {_ms(trial.took_s)}, "
            f"without stopping the process{tries}",
        )
    elif refusal.exit_status == NotPermitted.exit_code:
        yield problem("dump", refusal.message)  # what to do stands at the rights
    else:
        tries = f" (tried {trial.tries} times)" if trial.tries > 1 else ""
        yield problem("dump", refusal.message + tries, _after(refusal, findings))


def _after(refusal: Refusal, findings: Findings) -> str:
    """What to do after a dump that failed."""
    if findings.is_not_python:
        return ""  # it stands with its Python
    if refusal.advice:
        return refusal.advice
    if (findings.os_threads or 0) > MOST_THREADS:
        return "Counts, births and deadlines are told without py-spy; its stacks are not."
    return (
        "Try again: it may pass. If it stays, a stack may be deeper than 4096 frames, where "
        "py-spy gives up too; or the process holds an interpreter that py-spy does not find."
    )


def blocking(findings: Findings) -> Iterator[Check]:
    """What a dump that stops it would cost."""
    if findings.is_not_python:
        return
    life, files = findings.life, findings.files
    if isinstance(life, Life) and (life.tracer or life.state in STOPPED):
        yield note("blocking", "--blocking would fail: see its state")
        return
    pause_s = blocking_pause_s(findings)
    if pause_s is None:
        no_version = Unknown("the version of Python or the number of threads is not known")
        yield unknown("blocking", files if isinstance(files, Unknown) else no_version)
        return
    said = f"--blocking would stop it for about {_ms(pause_s)} at each dump"
    if pause_s < _FELT_S:
        yield ok("blocking", said)
    else:
        yield note("blocking", said, "Look without it; that is the default.")


def blocking_pause_s(findings: Findings) -> float | None:
    """For how long a blocking dump would stop the process, by what was measured elsewhere."""
    threads = findings.os_threads
    if threads is None or isinstance(findings.files, Unknown) or findings.files.python is None:
        return None
    return threads * pause_per_thread_s(findings.files.python.version)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 else f"{seconds * 1000:.1f} ms"
