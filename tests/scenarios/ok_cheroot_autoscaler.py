"""A pool that is made bigger and smaller with the load."""

from __future__ import annotations

import threading
import time
from typing import Any

from tests.scenarios import load, servers
from tests.scenarios.stage import ready, run

DESCRIPTION = (
    "cheroot + Flask, sine load with a period of 130 s; an autoscaler keeps three idle workers, "
    "by one or two each 3 s, between 4 and 40"
)
LEAKS = False
LEAKED_FUNCTION = ""


def scale(server: Any) -> None:
    """Keep some workers idle."""
    while True:
        time.sleep(3)
        pool = server.requests
        idle, all_ = pool.idle, len(pool._threads)
        if idle < 3 and all_ < 40:
            pool.grow(2)
        elif idle > 3 and all_ > 4:
            pool.shrink(1)


def serve(port: int, _: int) -> None:
    """Run the server."""
    server = servers.cheroot(servers.shop(), port, threads=4, most=40)
    threading.Thread(target=scale, args=(server,), name="scales", daemon=True).start()
    ready()
    server.serve()


async def loaded(port: int, _: int) -> None:
    """Load it."""
    await load.clients(port, load.sine(1, 30, 130))


if __name__ == "__main__":
    run(serve, loaded)
