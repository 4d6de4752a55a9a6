"""The command `leakscope`: joins its subcommands, and turns every ending into an exit status."""

from __future__ import annotations

import gc
import importlib
import io
import os
import sys
from typing import NoReturn

import click

from leakscope import __version__
from leakscope.errors import LeakscopeError, UsageProblem
from leakscope.output import ClosedPipe, say, silence_stderr, silence_stdout

# Statuses that are not of an error class: a second Ctrl-C, and what a shell gives for SIGPIPE.
INTERRUPTED = 130
PIPE_CLOSED = 141

# The shell asks for completions by this variable; click's documentation has the scripts.
_COMPLETE = "_LEAKSCOPE_COMPLETE"

# name -> (module below leakscope.commands, one line of help). A command's module is imported when
# it is called, so that `--version` and `--help` do not wait for what they don't need.
COMMANDS = {
    "watch": "Follow the threads of a process and say which stacks leak.",
    "run": "Start a program and watch it; its status, or 1 when it leaks.",
    "dump": "Look once: all threads, grouped by stack, biggest group first.",
    "replay": "Judge a recording as if it happened now.",
    "diff": "Compare two saved looks: what is new, gone, grown, shrunk.",
    "rank": "Merge the leaks of many reports, the worst first.",
    "explain": "Tell all that a report or recording knows of one group.",
    "doctor": "Say what can and can't be seen of a process, and why.",
    "ps": "List the Python processes that you can look at.",
    "schema": "Print the JSON Schema of the reports.",
    "assets": "Write out alert rules, a dashboard and recipes.",
}


class _Commands(click.Group):
    """Subcommands that are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"leakscope.commands.{cmd_name}")
        gc.enable()  # off until here, see leakscope.__main__
        # Before any child is started, and here, for it takes the main thread.
        from leakscope.sources.signals import mind_children

        mind_children()
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 no leak; 1 a leak; 2 usage; 3 no such process; 4 not permitted; "
    "5 not readable; 130 interrupted twice.",
)
@click.version_option(__version__, "-V", "--version", message="leakscope %(version)s")
def cli() -> None:
    """Find what leaks threads in a running Python process, from outside.

    \b
    leakscope ps              find the PID
    leakscope dump PID        what all its threads do now
    leakscope watch PID       which stacks keep growing
    """


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command line and end the program with its status."""
    _open_missing_streams()
    try:
        status = _run(sys.argv[1:] if args is None else args)
    except (ClosedPipe, BrokenPipeError):
        status = _pipe_closed()
    except click.exceptions.Exit as stop:
        status = stop.exit_code
    except click.ClickException as error:
        _show(error)
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        status = INTERRUPTED
    except LeakscopeError as error:
        _say(error)
        status = error.exit_code
    except OSError as error:
        silence_stdout()
        _say(UsageProblem(f"cannot write: {error.strerror or error}"))
        status = UsageProblem.exit_code
    gc.freeze()  # else each module is searched for garbage, 10 ms for nothing
    sys.exit(_flushed(status))


def _run(args: list[str]) -> int:
    """The status of a command line.

    Not by `cli.main`, which takes broken pipes and signals for itself, with statuses of its own.
    """
    completion = os.environ.get(_COMPLETE)
    if completion:
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, "leakscope", _COMPLETE, completion)
    # What was typed goes along, because a report says what made it.
    with cli.make_context("leakscope", list(args), obj=tuple(args)) as context:
        status = cli.invoke(context)
    return status if isinstance(status, int) else 0


def _open_missing_streams() -> None:
    """Started with a closed stream, Python has None in its place, which nothing can write to."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for good


def _pipe_closed() -> int:
    silence_stdout()
    return PIPE_CLOSED


def _flushed(status: int) -> int:
    """The status, once what was printed has left: later a failure would have a trace."""
    try:
        sys.stderr.flush()
    except OSError:
        silence_stderr()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _pipe_closed()
    except OSError as error:
        silence_stdout()
        if not status:  # else what went wrong was said already
            _say(UsageProblem(f"cannot write: {error.strerror or error}"))
        return status or UsageProblem.exit_code
    return status


def _show(error: click.ClickException) -> None:
    """What is wrong with the command line; a file that it names may be called anything."""
    from leakscope.printable import printable

    shown = io.StringIO()
    error.show(shown)
    for line in shown.getvalue().splitlines():
        print(printable(line), file=sys.stderr)


def _say(error: LeakscopeError) -> None:
    """What happened, and what to do, unless that was said when it happened."""
    from leakscope.printable import printable

    if not error.is_said:
        say(str(error), error.advice)
    if os.environ.get("LEAKSCOPE_DEBUG"):
        import traceback

        for line in "".join(traceback.format_exception(error)).splitlines():
            print(printable(line), file=sys.stderr)
