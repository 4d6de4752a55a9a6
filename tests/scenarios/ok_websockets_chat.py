"""A chat server with two threads a client, and ever more clients: but each one leaves again."""

from __future__ import annotations

import asyncio
import contextlib
import random

import websockets
from websockets.asyncio.client import connect
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_threads

from tests.scenarios import servers
from tests.scenarios.stage import ready, run

DESCRIPTION = (
    "websockets sync server, threads for each client; clients stay 10 to 40 s and say something "
    "now and then; more come than go for 80 s, then as many"
)
LEAKS = False
LEAKED_FUNCTION = ""


def chat(connection: ServerConnection) -> None:
    """Answer what a client says."""
    for message in connection:
        connection.send(message)


def serve(port: int, _: int) -> None:
    """Run the server."""
    with serve_threads(chat, servers.HOST, port) as server:
        ready()
        server.serve_forever()


async def talks(port: int) -> None:
    """A client."""
    with contextlib.suppress(OSError, websockets.WebSocketException):
        async with connect(f"ws://{servers.HOST}:{port}") as connection:
            for _ in range(random.randint(3, 10)):
                await connection.send("hello")
                await connection.recv()
                await asyncio.sleep(random.uniform(2, 5))


async def loaded(port: int, _: int) -> None:
    """Load it."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    here = set()
    while True:
        here.add(asyncio.create_task(talks(port)))
        rate = 0.3 + 0.7 * min(1.0, (loop.time() - began) / 80)
        await asyncio.sleep(random.expovariate(rate))


if __name__ == "__main__":
    run(serve, loaded)
