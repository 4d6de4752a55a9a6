"""Rate limiters that are made anew, while the timers of the old ones re-arm themselves."""

from __future__ import annotations

import threading

from tests.scenarios import load, servers
from tests.scenarios.stage import run

DESCRIPTION = (
    "waitress(10) + Flask, sine load; every 3 s an API key gets a new rate limiter, whose "
    "threading.Timer re-arms itself each 2.5 s and is never cancelled: a new thread each time"
)
LEAKS = True
LEAKED_FUNCTION = r":Timer\.run"

app = servers.shop()
limiters: dict[str, Limiter] = {}


class Limiter:
    """Allows so many requests, and so many more each time that it is filled."""

    def __init__(self) -> None:
        self.left = 0
        self.refill()

    def refill(self) -> None:
        """Allow more, and do so again later."""
        self.left = 100
        timer = threading.Timer(2.5, self.refill)
        timer.daemon = True
        timer.start()


@app.get("/key/<name>")
def key(name: str) -> str:
    """Set the limits of a key."""
    limiters[name] = Limiter()
    return "set"


def serve(port: int, _: int) -> None:
    """Run the server."""
    for name in ("gold", "silver", "bronze"):
        limiters[name] = Limiter()
    servers.waitress(app, port, threads=10)


async def loaded(port: int, _: int) -> None:
    """Load it."""
    await load.together(
        load.clients(port, load.sine(1, 10, 40)), load.visits(port, "/key/gold", every_s=3)
    )


if __name__ == "__main__":
    run(serve, loaded)
