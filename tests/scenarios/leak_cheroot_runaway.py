"""Consumers that do not see the end of their connection, and read on for ever."""

from __future__ import annotations

import os
import socket
import threading

from tests.scenarios import load, servers
from tests.scenarios.stage import ready, run

DESCRIPTION = (
    "cheroot(8) + Flask, steady load; every 11 s a consumer's peer hangs up, and it reads nothing, "
    "again and again, as fast as it can (at the lowest priority, to be kind to the machine)"
)
LEAKS = True
LEAKED_FUNCTION = r"consume"

app = servers.shop()


def consume(connection: socket.socket) -> None:
    """Take what the peer sends."""
    message = b""
    while not message.endswith(b"bye"):
        message += connection.recv(4096)


@app.get("/subscribe")
def subscribe() -> str:
    """Listen to a peer, that hangs up at once."""
    ours, theirs = socket.socketpair()
    threading.Thread(target=consume, args=(ours,), daemon=True).start()
    theirs.close()
    return "subscribed"


def serve(port: int, _: int) -> None:
    """Run the server."""
    os.nice(19)
    server = servers.cheroot(app, port, threads=8)
    ready()
    server.serve()


async def loaded(port: int, _: int) -> None:
    """Load it."""
    await load.together(
        load.clients(port, load.steady(3), pause_s=2.0),
        load.visits(port, "/subscribe", every_s=11),
    )


if __name__ == "__main__":
    run(serve, loaded)
