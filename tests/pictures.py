"""Draws the README's pictures: `python -m tests.pictures VIEW PAGE` writes what a real watch shows.

It watches a leaking service as `leakscope watch` does, until the leak can be named. VIEW becomes
the live view as SVG, PAGE the first screen of the page as WebP, which needs a browser.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from leakscope.commands.looking import Asked, watch
from leakscope.engine import DEFAULT_VIEW
from leakscope.renderers.live.state import Setting, ViewState
from leakscope.renderers.live.view import view
from leakscope.renderers.page.report_page import report_page
from leakscope.report import Report
from leakscope.sources.stopping import Stop
from leakscope.sources.timetable import Schedule
from tests.browser import browser, why_no_browser
from tests.running import PROGRAMS

WATCHED = Schedule(interval_s=0.5, duration_s=34.0)
UNWATCHED_S = 12.0  # for which it leaks before that: births tell
WIDTH, HEIGHT = 100, 26  # of the live view, in characters
PAGE_WIDTH = 1200  # of the page, in pixels


def main() -> int:
    """Watch, draw, save; the exit status."""
    view_path, page = (Path(argument) for argument in sys.argv[1:])
    lacking = why_no_browser()
    with _leaking_service() as pid:
        report = _watched(pid)
    if len(report.leaks) != 1:
        print(f"pictures: {len(report.leaks)} leaks were found, not one; no picture is drawn")
        return 1
    if lacking:
        print(f"pictures: {page} is not drawn: {lacking}")
    view_path.parent.mkdir(exist_ok=True)
    drawings = {view_path: drawn} if lacking else {view_path: drawn, page: photographed}
    return max(_save(path, *draw(report)) for path, draw in drawings.items())


def _save(path: Path, picture: bytes, text: str) -> int:
    """Save a picture, unless what can be read in it tells of this machine; the exit status."""
    told = [word for word in _of_this_machine() if word in text]
    if told:
        print(f"pictures: {path} would tell of this machine: {', '.join(told)}")
        return 1
    path.write_bytes(picture)
    print(f"pictures: {path} is drawn")
    return 0


def photographed(report: Report) -> tuple[bytes, str]:
    """The page of a report to where the charts end, as WebP; and what can be read in it."""
    with tempfile.TemporaryDirectory() as folder, browser() as opened:
        page = Path(folder, "page.html")
        page.write_text(report_page(report), encoding="utf-8")
        opened.open(page, width=PAGE_WIDTH)
        opened.open(page, width=PAGE_WIDTH, height=int(opened.run(_CHARTS_END)))
        text: str = opened.run(_READABLE)
        return opened.picture("webp"), text


_CHARTS_END = "return document.querySelector('.columns').getBoundingClientRect().bottom"
# The words of all that is on the screen, and not below.
_READABLE = """
return Array.from(document.querySelectorAll("h1, h2, p, dd, li, text"))
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().top < innerHeight)
  .map((one) => one.textContent).join(" ");
"""


def drawn(report: Report) -> tuple[bytes, str]:
    """The live view of a report, as an SVG; and what can be read in it."""
    console = Console(
        record=True, width=WIDTH, force_terminal=True, color_system="truecolor", file=io.StringIO()
    )
    state = ViewState(width=WIDTH, height=HEIGHT)
    console.print(view(report, state, Setting(duration_s=WATCHED.duration_s)))
    # A fixed id: else each run would change every line of the file.
    picture = console.export_svg(title="leakscope watch", unique_id="leakscope")
    return picture.encode(), picture


def _watched(pid: int) -> Report:
    return watch(
        Asked((pid,), max_share=0.02), DEFAULT_VIEW, WATCHED, Stop(pid), lambda watched: None
    )


@contextmanager
def _leaking_service() -> Iterator[int]:
    """The demo's service, leaking; neither its command line nor its files tell of this machine."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with (
        tempfile.TemporaryDirectory(prefix="app-") as folder,
        subprocess.Popen(
            ["python3", "leaky_service.py", "--pool", "30", "--requests", "5"],
            cwd=_copied(folder),
            env={**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            process.stdin.write("autoleak 2\n")
            assert process.stdout.readline().startswith("leaking ")
            time.sleep(UNWATCHED_S)
            yield process.pid
        finally:
            process.kill()


def _copied(folder: str) -> Path:
    """Where the service is copied to; of a path the live view shows the last folder only."""
    service = Path(folder, "service")
    service.mkdir()
    for name in ("leaky_service.py", "command_loop.py"):
        shutil.copy(PROGRAMS / name, service)
    return service


def _of_this_machine() -> list[str]:
    """What must not be in a picture that is shown to everyone."""
    places = {str(PROGRAMS.parent.parent), str(Path.home()), sys.prefix, sys.base_prefix}
    return sorted(places - {"/"})


if __name__ == "__main__":
    sys.exit(main())
