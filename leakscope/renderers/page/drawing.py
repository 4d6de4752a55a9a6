"""Fills the page's templates. Whatever comes from the target is made printable, and escaped.

The page may load nothing and run nothing but its own style and script, which are named by their
hashes: were a name of the target's ever to come out as markup, the browser would still not run it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from leakscope import __version__
from leakscope.errors import UsageProblem
from leakscope.model import Frame
from leakscope.printable import clipped, printable
from leakscope.stacks import is_own_code, is_stdlib

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

# A function or path that is longer says no more, and could make the page as long as it likes.
_LONGEST = 120
_MOST_FRAMES = 30  # of either end of a stack: deep recursion is the same again and again


def check_installed() -> None:
    """Raise UsageProblem at once, and not after hours, where the page's libraries are missing."""
    for library in ("jinja2", "pygal"):
        if find_spec(library) is None:
            raise UsageProblem(
                f"--html needs {library}, which is not installed",
                "Install leakscope with its extra `html`: pip install '.[html]'",
            )


def drawn(template: str, values: Mapping[str, Any]) -> str:
    """A page from a template of this package."""
    from markupsafe import Markup

    style, script = _text("page.css"), _text("page.js")
    return (
        _environment()
        .get_template(template)
        .render(
            **values,
            # They are written by us, and their text must be the very one that was hashed.
            style=Markup(style),
            script=Markup(script),
            style_hash=_hash(style),
            script_hash=_hash(script),
            version=__version__,
        )
    )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(lambda name: _text("templates", name)),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(origin=origin, location=location, most_frames=_MOST_FRAMES)
    environment.filters.update(short=_short, coded=_coded)
    return environment


def _shown(value: object) -> object:
    """Every value that a template prints passes here before it is escaped."""
    from markupsafe import Markup

    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _short(text: str) -> str:
    return clipped(printable(text), _LONGEST)


def _coded(text: str) -> Markup:
    """Advice, with what stands between backticks as code."""
    from markupsafe import Markup, escape

    parts = printable(text).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if i % 2 else escape(part)
        for i, part in enumerate(parts)
    )


def origin(frame: Frame) -> str:
    """Whose code a frame is: `own`, `library` or `stdlib`; a class of the style."""
    if is_own_code(frame.filename):
        return "own"
    return "stdlib" if is_stdlib(frame.filename) else "library"


def location(frame: Frame) -> str:
    """Where a frame is: its file, or the end of it, and line."""
    file = printable(frame.filename)
    if len(file) > _LONGEST:
        file = f"...{file[-_LONGEST:]}"
    return f"{file}:{frame.line}" if frame.line > 0 else file


def _text(*path: str) -> str:
    return files(__package__).joinpath(*path).read_text("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
