"""An event loop per report, kept: the worker of its default executor is too."""

from __future__ import annotations

import asyncio

from tests.scenarios import load, servers
from tests.scenarios.stage import run

DESCRIPTION = (
    "gunicorn gthread(12) + Flask, sine load; every 9 s a report makes an event loop that is kept "
    "and never closed, with a worker of its default executor, in the stack of gthread's own workers"
)
LEAKS = True
SLOW = True
LEAKED_FUNCTION = r"asyncio_\d+"

app = servers.shop()
reports: dict[str, asyncio.AbstractEventLoop] = {}


@app.get("/report/<name>")
def report(name: str) -> str:
    """Render a report off the thread that asked for it."""
    loop = reports[name] = asyncio.new_event_loop()
    return loop.run_until_complete(loop.run_in_executor(None, servers.work))


def serve(port: int, _: int) -> None:
    """Run the server."""
    servers.gunicorn("tests.scenarios.leak_gunicorn_loops:app", port, threads=12)


async def loaded(port: int, _: int) -> None:
    """Load it."""
    await load.together(
        load.clients(port, load.sine(2, 14, 50)), load.visits(port, "/report/{}", every_s=9)
    )


if __name__ == "__main__":
    run(serve, loaded)
