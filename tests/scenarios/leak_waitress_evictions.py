"""Sessions that a cache forgets without closing them: their heartbeats go on."""

from __future__ import annotations

import asyncio
import random
import threading
from itertools import count

from cachetools import TTLCache

from tests.scenarios import load, servers
from tests.scenarios.stage import leaked, run

DESCRIPTION = (
    "waitress(8) + Flask, ramp; sessions with a polling heartbeat thread live 8 to 25 s, but every "
    "9 s one is not closed, and the TTLCache forgets it: its heartbeat shares the whole stack"
)
LEAKS = True
SLOW = True
LEAKED_FUNCTION = r"keep_alive"

app = servers.shop()


class Session:
    """Something remote that wants to hear from us."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.thread = threading.Thread(target=self.keep_alive, daemon=True)
        self.thread.start()

    def keep_alive(self) -> None:
        """Be heard."""
        while not self.closed.wait(1.5):
            pass


sessions: TTLCache[str, Session] = TTLCache(maxsize=500, ttl=30)
lock = threading.Lock()


@app.get("/open/<how>/<name>")
def open_session(how: str, name: str) -> str:
    """Begin a session."""
    session = Session()
    if how == "lost":
        leaked(session.thread)
    with lock:
        sessions[name] = session
    return "open"


@app.get("/close/<name>")
def close_session(name: str) -> str:
    """End a session."""
    with lock:
        session = sessions.pop(name, None)
    if session:
        session.closed.set()
    return "closed"


def serve(port: int, _: int) -> None:
    """Run the server."""
    servers.waitress(app, port, threads=8)


async def visitors(port: int) -> None:
    """Sessions that are closed as they should be."""

    async def visitor(name: str) -> None:
        await load.get(port, f"/open/well/{name}")
        await asyncio.sleep(random.uniform(8, 25))
        await load.get(port, f"/close/{name}")

    here = set()
    for number in count():
        here.add(asyncio.create_task(visitor(f"v{number}")))
        await asyncio.sleep(random.expovariate(1 / 3.0))


async def loaded(port: int, _: int) -> None:
    """Load it."""
    await load.together(
        load.clients(port, load.ramp(1, 8, 100)),
        visitors(port),
        load.visits(port, "/open/lost/{}", every_s=9),
    )


if __name__ == "__main__":
    run(serve, loaded)
