"""A file observer per upload, never stopped: several threads each."""

from __future__ import annotations

import tempfile
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer

from tests.scenarios import load, servers
from tests.scenarios.stage import run

DESCRIPTION = (
    "uvicorn + starlette, sine load; every 6 s an upload starts a watchdog Observer on its folder "
    "and never stops it: a family of threads each"
)
LEAKS = True
LEAKED_FUNCTION = r"watchdog/"

observers: list[Any] = []


def page(_: Request) -> PlainTextResponse:
    """A page."""
    return PlainTextResponse(servers.work())


def upload(_: Request) -> PlainTextResponse:
    """Take an upload, and follow what becomes of it."""
    observer = Observer()
    observer.schedule(FileSystemEventHandler(), tempfile.gettempdir())
    observer.start()
    observers.append(observer)
    return PlainTextResponse("taken")


def serve(port: int, _: int) -> None:
    """Run the server."""
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        servers.uvicorn(Starlette(routes=[Route("/", page), Route("/upload", upload)]), port)


async def loaded(port: int, _: int) -> None:
    """Load it."""
    await load.together(
        load.clients(port, load.sine(2, 12, 40)), load.visits(port, "/upload", every_s=6)
    )


if __name__ == "__main__":
    run(serve, loaded)
