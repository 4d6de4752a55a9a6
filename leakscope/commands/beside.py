"""What a watch writes beside its report, each by an option of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

from leakscope.commands.options import Command, OutFile, ShellCommand, option

if TYPE_CHECKING:
    from leakscope.commands.following import Follower
    from leakscope.report import Report


def _junit(path: str, fail_on: tuple[str, ...]) -> Follower:
    from leakscope.commands.following import AtTheEnd
    from leakscope.commands.statuses import fails
    from leakscope.output import Output
    from leakscope.renderers import junit

    def lines(report: Report) -> Iterable[str]:
        return junit.lines(report, failed=fails(report, fail_on))

    return AtTheEnd(Output(path), lines)


def _html(path: str, _: tuple[str, ...]) -> Follower:
    from leakscope.commands.following import AtTheEnd
    from leakscope.output import Output
    from leakscope.renderers.page.drawing import check_installed
    from leakscope.renderers.page.report_page import lines

    check_installed()
    return AtTheEnd(Output(path), lines)


def _on_leak(command: str, _: tuple[str, ...]) -> Follower:
    from leakscope.commands.on_leak import OnLeak

    return OnLeak(command)


def _listen(address: str, _: tuple[str, ...]) -> Follower:
    from leakscope.commands.exporting import Scraped

    return Scraped(address)


def _textfile(path: str, _: tuple[str, ...]) -> Follower:
    from leakscope.commands.exporting import InTextFile

    return InTextFile(path)


# From an option's value, and the verdicts of --fail-on, to what follows the watch.
_Made = Callable[[Any, tuple[str, ...]], "Follower"]

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
            "replaced each 5 s. Needs leakscope[prometheus].",
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
            beside = [
                follower(asked[name], values["fail_on"])
                for name, (_, follower) in offered.items()
                if asked[name] is not None
            ]
            return command(*arguments, beside=beside, **values)

        decorated = cast(Command, with_followers)
        for option_of, _ in reversed(offered.values()):
            decorated = option_of(decorated)
        return decorated

    return decorate
