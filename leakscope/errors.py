"""Why leakscope could not do what it was asked. Each error knows its exit status and what to do."""

from __future__ import annotations


class LeakscopeError(Exception):
    """The base of all. `str()` says what happened and why; `advice`, if any, what to do."""

    exit_code = 1
    is_said = False  # True: whoever reads standard error was told when it happened

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class UsageProblem(LeakscopeError):
    """The command line, or a file that it names, cannot be used."""

    exit_code = 2


class NoSuchProcess(LeakscopeError):
    """The process is not there, or ended before anything could be said."""

    exit_code = 3


class NotPermitted(LeakscopeError):
    """This user may not look into that process."""

    exit_code = 4


class CannotStart(LeakscopeError):
    """There is no such program to run; the status is a shell's."""

    exit_code = 127


class NotExecutable(LeakscopeError):
    """The program is there and cannot be run; the status is a shell's."""

    exit_code = 126


class Unsupported(LeakscopeError):
    """Not a Python process, a Python that py-spy cannot read, or not one dump succeeded."""

    exit_code = 5


class DumpFailed(LeakscopeError):
    """One dump failed for a reason that may pass: the next try can succeed."""

    exit_code = 5
    is_lasting = False  # True: it will not pass soon, so that trying again is no use


class NoInterpreter(DumpFailed):
    """py-spy found no interpreter where there was one: what it says of too many threads or frames.

    It says the same, now and then, while threads come and go; then the next try may succeed.
    """

    def __init__(self, message: str, *, lasting: bool) -> None:
        super().__init__(message)
        self.is_lasting = lasting


class DumpHung(DumpFailed):
    """A dump did not end in time. Another try may cost as long, so it waits for the next sample."""
