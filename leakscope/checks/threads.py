"""How many threads it has, and which of them py-spy does not show."""

from __future__ import annotations

from collections.abc import Iterator

from leakscope.checks.marks import count, note, ok, problem
from leakscope.checks.reading import MOST_THREADS
from leakscope.checkup import (
    Check,
    Files,
    Findings,
    Trial,
)

# From here on it is worth knowing how near the end of what py-spy reads is.
_MANY_THREADS = MOST_THREADS * 3 // 4

_SHOWN_NATIVES = 5


def threads(findings: Findings) -> Iterator[Check]:
    """How many threads there are, against the most that py-spy reads."""
    threads = findings.os_threads
    if threads is None:
        yield note("threads", "unknown, because /proc does not tell")
        return
    found = f"{count(threads, 'thread')} by the kernel's count; py-spy reads up to {MOST_THREADS}"
    if threads > MOST_THREADS:
        yield problem(
            "threads",
            f"{found}, so it reads no stack of this process",
            "Restart the process, and watch it before it gets there.",
        )
    elif threads >= _MANY_THREADS:
        yield note("threads", found, "Look now: above that there are no stacks.")
    else:
        yield ok("threads", found)


def native_threads(findings: Findings) -> Iterator[Check]:
    """Which threads py-spy does not show, and what they may be."""
    trial = findings.trial
    if findings.is_not_python:
        return
    if trial is None or trial.threads is None:
        yield note("native threads", "unknown, because no dump tells the Python threads")
        return
    others = trial.others
    if others is None:
        yield note("native threads", "unknown, because the kernel's threads are not counted here")
        return
    if not others:
        yield ok("native threads", "none: py-spy shows each thread that the kernel knows")
        return
    files = findings.files
    shown = f"py-spy shows {trial.threads} of {others + trial.threads} threads{_names(trial)}"
    loaded = files if isinstance(files, Files) else Files(None, (), None)
    main = findings.target.pid in [native.tid for native in trial.natives]
    yield _native_check(shown, loaded, main_is_missing=main)


def _native_check(shown: str, files: Files, *, main_is_missing: bool) -> Check:
    """What threads are that py-spy does not show, as far as anything tells."""
    name = "native threads"
    if files.interpreters and main_is_missing:
        return problem(
            name,
            f"{shown}, not even its main thread. It has loaded {files.interpreters}: py-spy shows "
            "one of its sub-interpreters, and not the main one",
            "Only the count of threads tells of a leak in what is not shown.",
        )
    if files.interpreters:
        return note(
            name,
            f"{shown}. It has loaded {files.interpreters}, so others may be Python threads of "
            "sub-interpreters: py-spy shows one interpreter only",
            "Only the count of threads tells of a leak in what is not shown.",
        )
    if main_is_missing:
        return note(
            name,
            f"{shown}, not even its main thread: Python was started in another one, as programs "
            "do that embed it, or py-spy shows a sub-interpreter",
        )
    if files.pools:
        libraries = ", ".join(files.pools)
        return note(
            name, f"{shown}. Libraries that start threads of their own are loaded: {libraries}"
        )
    return note(
        name,
        f"{shown}. The others are native, or Python threads of sub-interpreters: /proc does not "
        "tell, and no library is loaded that is known for either",
    )


def _names(trial: Trial) -> str:
    """` (the others: 4711 grpc_timer, ...)`: what the kernel calls them."""
    natives = trial.natives
    if not natives:
        return ""
    shown = ", ".join(f"{native.tid} {native.name}" for native in natives[:_SHOWN_NATIVES])
    rest = len(natives) - _SHOWN_NATIVES
    return f" (the others: {shown}{f' and {rest} more' if rest > 0 else ''})"
