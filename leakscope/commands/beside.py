"""What a watch writes beside its report, each by an option of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import click

from leakscope.commands.options import Command, option
from leakscope.errors import UsageProblem

if TYPE_CHECKING:
    from leakscope.commands.following import Follower

_FILE = click.Path(dir_okay=False)


def _junit(path: str) -> Follower:
    from leakscope.commands.following import AtTheEnd
    from leakscope.output import Output
    from leakscope.renderers import junit

    return AtTheEnd(Output(path), junit.lines)


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
    _need_prometheus_client()
    from leakscope.commands.exporting import Scraped

    return Scraped(address)


def _textfile(path: str) -> Follower:
    _need_prometheus_client()
    from leakscope.commands.exporting import InTextFile

    return InTextFile(path)


def _need_prometheus_client() -> None:
    if find_spec("prometheus_client") is None:
        raise UsageProblem(
            "--listen and --textfile need the package prometheus-client",
            "Install it where leakscope is: python -m pip install prometheus-client",
        )


# Name of the parameter -> (its option, from its value to what follows the watch). What is imported
# for one is imported when it is asked for.
BESIDE: dict[str, tuple[Callable[[Command], Command], Callable[[Any], Follower]]] = {
    "junit": (
        option(
            "--junit",
            type=_FILE,
            metavar="FILE",
            help="Write the verdict as a JUnit test case, for CI.",
        ),
        _junit,
    ),
    "html": (
        option(
            "--html",
            type=_FILE,
            metavar="FILE",
            help="Write a page with charts, to send around and open in a browser.",
        ),
        _html,
    ),
    "on_leak": (
        option(
            "--on-leak",
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
            type=_FILE,
            metavar="FILE.prom",
            help="Keep the metrics in this file, for node_exporter's textfile collector; it is "
            "replaced each 5 s. Needs leakscope[prometheus].",
        ),
        _textfile,
    ),
}


def beside_options(command: Command) -> Command:
    """The options, whose followers the command gets as `beside`."""

    @wraps(command)
    def with_followers(*arguments: Any, **values: Any) -> Any:
        asked = {name: values.pop(name) for name in BESIDE}
        beside = [
            follower(asked[name])
            for name, (_, follower) in BESIDE.items()
            if asked[name] is not None
        ]
        return command(*arguments, beside=beside, **values)

    decorated = cast(Command, with_followers)
    for decorate, _ in reversed(BESIDE.values()):
        decorated = decorate(decorated)
    return decorated
