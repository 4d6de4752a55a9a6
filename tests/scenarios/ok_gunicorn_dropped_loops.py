"""An event loop per report, dropped: the collector ends its threads, sooner or later."""

from __future__ import annotations

import asyncio
import gc
import threading
import time

from tests.scenarios import load, servers
from tests.scenarios.stage import run

DESCRIPTION = (
    "gunicorn gthread(12) + Flask, sine load; every 2 s a report makes an event loop with a worker "
    "of its default executor, in a reference cycle; they end when the collector runs, every 25 s: "
    "a sawtooth"
)
LEAKS = False
LEAKED_FUNCTION = ""

app = servers.shop()


class Report:
    """Something that is rendered elsewhere, and that refers to itself."""

    def __init__(self) -> None:
        self.itself = self
        self.loop = asyncio.new_event_loop()

    def render(self) -> str:
        """Render it off the thread that asked for it."""
        return self.loop.run_until_complete(
            self.loop.run_in_executor(None, servers.work, 0.05, 0.1)
        )


def collect() -> None:
    """Collect garbage, which an allocation would make Python do some time."""
    while True:
        time.sleep(25)
        gc.collect()


@app.get("/report")
def report() -> str:
    """Render a report."""
    return Report().render()


@app.get("/begin")
def begin() -> str:
    """Begin; not before the worker's fork, which threads do not survive."""
    gc.disable()
    threading.Thread(target=collect, name="collects", daemon=True).start()
    return "begun"


def serve(port: int, _: int) -> None:
    """Run the server."""
    servers.gunicorn("tests.scenarios.ok_gunicorn_dropped_loops:app", port, threads=12)


async def loaded(port: int, _: int) -> None:
    """Load it."""
    await load.together(
        load.get(port, "/begin"),
        load.clients(port, load.sine(1, 8, 50)),
        load.visits(port, "/report", every_s=2),
    )


if __name__ == "__main__":
    run(serve, loaded)
