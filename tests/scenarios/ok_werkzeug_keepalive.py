"""Clients that come one by one, and keep their connection: a thread each, by right."""

from __future__ import annotations

import asyncio
import contextlib
import random

from tests.scenarios import load, servers
from tests.scenarios.stage import run

DESCRIPTION = (
    "werkzeug (HTTP/1.1, a thread a connection) + Flask; a client comes every 4 s, keeps its "
    "connection, and asks for something every 5 to 20 s; beside them a light load of short requests"
)
LEAKS = False
LEAKED_FUNCTION = ""


def serve(port: int, _: int) -> None:
    """Run the server."""
    servers.werkzeug(servers.shop(), port, keep_alive=True)


async def stays(port: int) -> None:
    """A client that keeps its connection."""
    reader, writer = await asyncio.open_connection(load.HOST, port)
    with contextlib.closing(writer):
        while True:
            writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len("ok"))
            await asyncio.sleep(random.uniform(5, 20))


async def arrivals(port: int) -> None:
    """One more, every so often."""
    here = set()
    while True:
        here.add(asyncio.create_task(stays(port)))
        await asyncio.sleep(random.uniform(2, 6))


async def loaded(port: int, _: int) -> None:
    """Load it."""
    await load.together(arrivals(port), load.clients(port, load.steady(3)))


if __name__ == "__main__":
    run(serve, loaded)
