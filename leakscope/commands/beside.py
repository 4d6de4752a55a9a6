"""What a watch writes beside its report, each by an option of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

from leakscope.commands.options import Command, OutFile, ShellCommand, option
from leakscope.errors import LeakscopeError, UsageProblem

if TYPE_CHECKING:
    from leakscope.commands.following import Follower


def _junit(path: str) -> Follower:
    from leakscope.commands.in_ci import case_at

    return case_at(path)


def _html(path: str) -> Follower:
    from leakscope.commands.following import AtTheEnd
    from leakscope.output import Output
    from leakscope.renderers.page.drawing import check_installed
    from leakscope.renderers.page.report_page import lines

    check_installed()
    return AtTheEnd(Output(path), lines)


def _on_leak(command: str) -> Follower:
    from leakscope.commands.on_leak import OnLeak

    return OnLeak(command)


def _listen(address: str) -> Follower:
    from leakscope.commands.exporting import Scraped

    return Scraped(address)


def _textfile(path: str) -> Follower:
    from leakscope.commands.exporting import InTextFile

    return InTextFile(path)


# From an option's value to what follows the watch.
_Made = Callable[[Any], "Follower"]

# Name of the parameter -> (its option, what is made of it). What is imported for one is imported
# when it is asked for.
BESIDE: dict[str, tuple[Callable[[Command], Command], _Made]] = {
    "junit": (
        option(
            "--junit",
            type=OutFile(),
            metavar="FILE",
            help="Write the verdict as a JUnit test case, for CI.",
        ),
        _junit,
    ),
    "html": (
        option(
            "--html",
            type=OutFile(),
            metavar="FILE",
            help="Write a page with charts, to send around and open in a browser.",
        ),
        _html,
    ),
    "on_leak": (
        option(
            "--on-leak",
            type=ShellCommand(),
            metavar="COMMAND",
            help="Run this in a shell once for each new leak, with the leak's JSON on its standard "
            "input; for at most 30 s.",
        ),
        _on_leak,
    ),
    "listen": (
        option(
            "--listen",
            metavar="[HOST:]PORT",
            help="Let a Prometheus scrape the metrics there while it goes on; without HOST only "
            "this machine reaches them. Needs leakscope[prometheus].",
        ),
        _listen,
    ),
    "textfile": (
        option(
            "--textfile",
            type=OutFile(),
            metavar="FILE.prom",
            help="Keep the metrics in this file, for node_exporter's textfile collector; it is "
            "replaced each 5 s, or each interval. Needs leakscope[prometheus].",
        ),
        _textfile,
    ),
}


def beside_options(*left_out: str) -> Callable[[Command], Command]:
    """The options but these; the command gets the followers of those that are asked for."""
    offered = {name: row for name, row in BESIDE.items() if name not in left_out}

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_followers(*arguments: Any, **values: Any) -> Any:
            asked = {name: values.pop(name) for name in offered}
            beside: list[Follower] = []
            try:
                for name, (_, follower) in offered.items():
                    if asked[name] is not None:
                        beside.append(follower(asked[name]))
                return command(*arguments, beside=beside, **values)
            except BaseException as error:  # whatever it is: a signal that ends leakscope, too
                _tell_of(error, beside)
                raise

        decorated = cast(Command, with_followers)
        for option_of, _ in reversed(offered.values()):
            decorated = option_of(decorated)
        return decorated

    return decorate


def _tell_of(error: BaseException, beside: Iterable[Follower]) -> None:
    """Have those that tell of failures write this one; that they can't is no reason to hide it."""
    if not beside:
        return
    from leakscope.commands.following import Failing
    from leakscope.output import ClosedPipe, say

    for each in beside:
        if isinstance(each, Failing):
            try:
                each.fail(_why(error))
            except UsageProblem as problem:
                say(str(problem), problem.advice)
            except ClosedPipe:
                pass  # nobody reads it


def _why(error: BaseException) -> str:
    if isinstance(error, LeakscopeError):
        return f"{error}\n{error.advice}".strip()
    if isinstance(error, Exception):
        return f"{type(error).__name__}: {error}"
    return "leakscope was ended before its report"
