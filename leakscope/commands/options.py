"""Options that commands share, and the types of their values."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from leakscope.errors import UsageProblem
from leakscope.levels import Level
from leakscope.redaction import Redaction

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from leakscope.baseline import Baseline
    from leakscope.engine import View

Command = TypeVar("Command", bound=Callable[..., Any])

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(ms|s|m|h|d)?")


def seconds_of(text: str) -> float | None:
    """`500ms`, `30s`, `5m`, `1h30m` and bare numbers of seconds; None for anything else."""
    text = text.strip().lower()
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        return None
    if len(parts) > 1 and not all(part[2] for part in parts):
        return None
    return sum(float(part[1]) * _UNITS_S[part[2] or "s"] for part in parts)


class Duration(click.ParamType[float]):
    """A span of time, as seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        seconds = float(value) if isinstance(value, int | float) else seconds_of(value)
        if seconds is None or not 0 < seconds < float("inf"):
            self.fail(f"{value!r} is not a duration such as 500ms, 30s, 5m or 2h", param, ctx)
        return seconds


class Pattern(click.ParamType[re.Pattern[str]]):
    """A regular expression."""

    name = "regex"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> re.Pattern[str]:
        if not str(value).strip():
            # As of a variable that is not set. It would fit every function.
            self.fail("it is empty; .* leaves out everything, [ ] what has a blank", param, ctx)
        try:
            return re.compile(value)
        except re.error as error:
            self.fail(f"{value!r} is not a regular expression: {error}", param, ctx)


class Percent(click.FloatRange):
    """A percentage between bounds; nan, which is outside of no bounds, is none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        percent = float(super().convert(value, param, ctx))
        if math.isnan(percent):
            self.fail(f"{value!r} is not a number", param, ctx)
        return percent


class ShellCommand(click.ParamType[str]):
    """A command for the shell, to which an empty one means nothing."""

    name = "command"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not str(value).strip():
            self.fail("it is empty: there is nothing to run", param, ctx)
        return str(value)


class _File(click.Path):
    """A file by its name; that of a variable which is not set is none."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        if not os.fspath(value):
            self.fail("it is empty, and names no file", param, ctx)
        return super().convert(value, param, ctx)


class InFile(_File):
    """A file to read."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False)


class OutFile(_File):
    """A file to write, which no other option of the command line names as well."""

    def __init__(self, *, allow_dash: bool = False) -> None:
        # A file that is only written need not be one that may be read.
        super().__init__(dir_okay=False, readable=False, allow_dash=allow_dash)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        path = os.fspath(super().convert(value, param, ctx))
        if path == "-":
            if not self.allow_dash:
                self.fail("it takes a file, and - is none; /dev/stdout may do", param, ctx)
            return path
        if ctx is not None and param is not None:
            claimed = ctx.meta.setdefault(__name__, {})
            real = os.path.realpath(path)
            other = claimed.setdefault(real, param)
            # A pipe or a device can take the one after the other.
            if other is not param and (os.path.isfile(real) or not os.path.exists(real)):
                self.fail(f"{path!r} is what {max(other.opts, key=len)} writes to", param, ctx)
        return path


class Pid(click.ParamType[int]):
    """A process id; completes to the Python processes that can be looked at."""

    name = "pid"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        pid = int(text) if len(text) <= 10 and text.isascii() and text.isdigit() else 0
        # The kernel's pid_max is at most 2**22; C's int is what system calls take.
        if not 0 < pid < 2**31:
            self.fail(f"{value!r} is not a process id", param, ctx)
        return pid

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from leakscope.printable import printable
        from leakscope.sources.process_list import python_processes

        return [
            CompletionItem(str(found.pid), help=printable(" ".join(found.command))[:60])
            for found in python_processes()
            if str(found.pid).startswith(incomplete)
        ]


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """A click option that can be set by LEAKSCOPE_NAME as well."""
    longest = max((name for name in names if name.startswith("--")), key=len)
    variable = "LEAKSCOPE_" + longest.partition("/")[0].strip("-").replace("-", "_").upper()
    return click.option(*names, envvar=variable, show_envvar=True, **settings)


def format_option(*formats: str) -> Callable[[Command], Command]:
    """`--format`, with `--json` for short."""

    def decorate(command: Command) -> Command:
        command = option(
            "--format", "format_", type=click.Choice(formats), default="text", show_default=True,
            help="How results are written.",
        )(command)  # fmt: skip
        return click.option(
            "--json", "format_", flag_value="json", help="Short for --format json."
        )(command)

    return decorate


def _all(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


# What to show.
view_options = _all(
    option(
        "--ignore",
        multiple=True,
        type=Pattern(),
        help="Leave out groups with a function or file that fits; repeatable.",
    ),
    option(
        "--group-by",
        type=click.Choice([level.value for level in Level]),
        default=Level.FUNCTION.value,
        show_default=True,
        help="What threads must share to be shown as one group.",
    ),
)


# What is no news, though it may grow.
alarm_options = _all(
    option(
        "--baseline",
        type=InFile(),
        metavar="REPORT",
        help="Leaks and growth that this saved report (--json) had already are no alarms, unless "
        "they grow faster now.",
    ),
    option(
        "--ignore-file",
        "excuses",
        type=InFile(),
        metavar="FILE",
        help="Leave out groups as --ignore does: each line a regex, then # and the reason.",
    ),
)

# What is said of the target's command line, and of its variables.
redact_option = option(
    "--redact",
    # Of an enum click takes the names, in capitals.
    type=click.Choice([redaction.value for redaction in Redaction]),
    callback=lambda _context, _parameter, value: Redaction(value),
    default=Redaction.SECRETS.value,
    show_default=True,
    help="Mask values as ***: those that look like secrets, all, or none.",
)

# How often to look, for how long, and at what cost.
sampling_options = _all(
    option(
        "-n",
        "--interval",
        type=Duration(),
        default="1s",
        show_default=True,
        help="Time between samples: 500ms, 2s; a bare number is seconds.",
    ),
    option("-d", "--duration", type=Duration(), help="End after this time: 90s, 5m, 2h."),
    option("--count", type=click.IntRange(min=1), help="End after this many samples."),
    option(
        "--record",
        type=OutFile(),
        metavar="FILE",
        help="Record what is seen, for `leakscope replay`: .jsonl or .jsonl.gz.",
    ),
    option(
        "--max-cpu",
        type=Percent(min=0.1, max=100.0),
        default=2.0,
        show_default=True,
        metavar="PERCENT",
        help="Take no more than this of one core, py-spy included, by reading stacks more rarely. "
        "Threads are counted at each sample all the same.",
    ),
    option(
        "--every-dump",
        is_flag=True,
        help="Read all stacks at each sample, whatever it costs. --blocking implies it.",
    ),
    option("--exit-on-leak", is_flag=True, help="End as soon as a leak is certain."),
)

blocking_option = option(
    "--blocking",
    is_flag=True,
    help="Stop the target during each dump, about 0.2 ms a thread; never done by default.",
)

# How to look at a living process.
looking_options = _all(
    blocking_option,
    option(
        "--children",
        is_flag=True,
        help="Look at every Python process that descends from PID, too; each is judged by itself.",
    ),
)

# Which verdicts make the exit status 1.
verdict_options = _all(
    option("--exit-zero", is_flag=True, help="Exit with 0 even if a leak was found."),
    option(
        "--fail-on",
        type=click.Choice(["growing", "unknown"]),
        multiple=True,
        help="Exit with 1 on this verdict too; repeatable.",
    ),
)


def _writing_options(standard: str) -> Callable[[Command], Command]:
    return _all(
        option(
            "-o",
            "--output",
            default="-",
            type=OutFile(allow_dash=True),
            metavar="FILE",
            help=f"Write results to this file; - is standard {standard}.",
        ),
        option(
            "--color",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            show_default=True,
            help="NO_COLOR and FORCE_COLOR are minded too.",
        ),
        option("-q", "--quiet", is_flag=True, help="Results only: no progress, no remarks."),
        option(
            "-v",
            "--verbose",
            is_flag=True,
            help="Say on standard error what is done, each call of py-spy with its time.",
        ),
    )


# Where and how results are written; beside a program, whose output is its own.
writing_options = _writing_options("output")
writing_options_beside = _writing_options("error")


def view_of(
    group_by: str,
    ignore: tuple[re.Pattern[str], ...],
    baseline: str | None = None,
    excuses: str | None = None,
) -> View:
    """The view that these options ask for, with what is in the files that they name.

    Raises UsageProblem where they cannot be read, or do not go together.
    """
    from leakscope.engine import View

    view = View(Level(group_by), ignore)
    if baseline is None and excuses is None:
        return view
    from leakscope.sources.saved import read_baseline, read_excuses

    if excuses is not None:
        view = view._replace(excuses=read_excuses(excuses))
    if baseline is not None:
        view = view._replace(baseline=_fitting(read_baseline(baseline), view.level))
    return view


def _fitting(baseline: Baseline, level: Level) -> Baseline:
    """The baseline. Raises UsageProblem where it is of other groups."""
    if baseline.level is not level:
        raise UsageProblem(
            f"{baseline.name} was saved with --group-by {baseline.level}, and this is --group-by "
            f"{level}: their groups cannot be compared",
            f"Watch with --group-by {baseline.level}.",
        )
    return baseline


def set_up_log(*, verbose: bool) -> None:
    """`-v` shows the debug log on standard error; without it nothing is logged."""
    if verbose:
        from leakscope.commands.debug_log import set_up

        set_up()
