"""What the findings about a process come to: a line for each, and an exit status. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from leakscope.checks import access, kernel, reading, threads
from leakscope.checkup import (
    Check,
    Checkup,
    Findings,
    Life,
    Presence,
    Refusal,
    Status,
)
from leakscope.errors import NoSuchProcess, NotPermitted, Unsupported


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
        os_threads=findings.os_threads,
        dump_s=trial.took_s if trial and not trial.refusal else None,
        blocking_pause_s=reading.blocking_pause_s(findings),
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
    yield access.process(findings)
    if findings.presence is not Presence.THERE:
        return
    life = findings.life
    if isinstance(life, Life) and (life.state in access.ENDED or life.is_kernel_thread):
        return  # there is nothing more to be seen of it
    for rule in _RULES:
        yield from rule(findings)


# The order of the lines.
_RULES: tuple[Callable[[Findings], Iterator[Check]], ...] = (
    access.state,
    access.owner,
    access.rights,
    access.namespaces,
    reading.python,
    reading.pyspy,
    threads.threads,
    reading.dump,
    reading.blocking,
    threads.native_threads,
    kernel.kernel_files,
    kernel.limits,
)
