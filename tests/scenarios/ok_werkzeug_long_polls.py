"""Long requests to a slow upstream, more and more of them at a time: but each one ends."""

from __future__ import annotations

import urllib.request

from tests.scenarios import load, servers
from tests.scenarios.stage import run

DESCRIPTION = (
    "werkzeug (a thread a request) + Flask; requests of 12 to 22 s that wait for an upstream, "
    "their number rising from 2 to 40 all the time: turnover, no leak"
)
LEAKS = False
LEAKED_FUNCTION = ""

app = servers.shop()


@app.get("/quote/<int:port>")
def quote(port: int) -> str:
    """Ask upstream."""
    with urllib.request.urlopen(f"http://{servers.HOST}:{port}/", timeout=40) as answer:
        return str(answer.read())


def serve(port: int, _: int) -> None:
    """Run the server."""
    servers.werkzeug(app, port)


async def loaded(port: int, other: int) -> None:
    """Load it."""
    await load.together(
        load.slow_upstream(other, 12, 22),
        load.clients(port, load.ramp(2, 40, 130), f"/quote/{other}"),
        load.clients(port, load.steady(2)),
    )


if __name__ == "__main__":
    run(serve, loaded)
