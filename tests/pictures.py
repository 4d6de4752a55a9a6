"""Draws the README's picture: `python -m tests.pictures FILE` writes the live view of a real watch.

It watches a leaking service as `leakscope watch` does, until the leak can be named.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from leakscope.engine import Engine
from leakscope.renderers.terminal import report_view
from leakscope.report import Kind, Report
from leakscope.sources.live import LiveSource
from leakscope.sources.stopping import Stop
from leakscope.sources.target import target
from leakscope.sources.timetable import Schedule
from tests.running import PROGRAMS

WATCHED = Schedule(interval_s=0.5, duration_s=34.0)
WIDTH, HEIGHT = 100, 26


def main() -> int:
    """Watch, draw, save; the exit status."""
    (path,) = (Path(argument) for argument in sys.argv[1:])
    with _leaking_service() as pid:
        report = _watched(pid)
    if len(report.leaks) != 1:
        print(f"pictures: {len(report.leaks)} leaks were found, not one; no picture is drawn")
        return 1
    picture = drawn(report)
    told = [word for word in _of_this_machine() if word in picture]
    if told:
        print(f"pictures: the picture would tell of this machine: {', '.join(told)}")
        return 1
    path.parent.mkdir(exist_ok=True)
    path.write_text(picture, encoding="utf-8")
    print(f"pictures: {path} is drawn")
    return 0


def drawn(report: Report) -> str:
    """The live view of a report, as an SVG."""
    console = Console(
        record=True, width=WIDTH, force_terminal=True, color_system="truecolor", file=io.StringIO()
    )
    console.print(report_view(report, width=WIDTH, height=HEIGHT))
    # A fixed id: else each run would change every line of the file.
    return console.export_svg(title="leakscope watch", unique_id="leakscope")


def _watched(pid: int) -> Report:
    stop = Stop(pid)
    source = LiveSource(pid, WATCHED, stop)
    engine = Engine()
    for sample in source.samples():
        engine.observe(sample)
    seen = target(pid, source.clock.zero_at)
    stop.close()
    return engine.report(Kind.SUMMARY, (seen,), source.ended_by, WATCHED.interval_s)


@contextmanager
def _leaking_service() -> Iterator[int]:
    """The demo's service, leaking; its command line holds no path, for the picture shows it."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    with subprocess.Popen(
        ["python3", "leaky_service.py", "--pool", "30", "--requests", "5"],
        cwd=PROGRAMS,
        env={**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            process.stdin.write("autoleak 2\n")
            assert process.stdout.readline().startswith("leaking ")
            yield process.pid
        finally:
            process.kill()


def _of_this_machine() -> list[str]:
    """What must not be in a picture that is shown to everyone."""
    places = {str(PROGRAMS.parent.parent), str(Path.home()), sys.prefix, sys.base_prefix}
    return sorted(places - {"/"})


if __name__ == "__main__":
    sys.exit(main())
