"""Clients that come one by one, and keep their connection: a thread each, by right."""

from __future__ import annotations

import asyncio
import contextlib
import random
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.scenarios import load, servers
from tests.scenarios.stage import ready, run

DESCRIPTION = (
    "http.server's ThreadingHTTPServer (HTTP/1.1, a thread a connection); a client comes every "
    "4 s, keeps its connection, and asks for something every 5 to 20 s, a third of them only once; "
    "beside them a light load of short requests"
)
LEAKS = False
LEAKED_FUNCTION = ""


class Page(BaseHTTPRequestHandler):
    """A page that takes a moment."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        text = servers.work().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(port: int, _: int) -> None:
    """Run the server."""
    server = ThreadingHTTPServer((servers.HOST, port), Page)
    ready()
    server.serve_forever()


async def stays(port: int, *, quiet: bool) -> None:
    """A client that keeps its connection."""
    reader, writer = await asyncio.open_connection(load.HOST, port)
    with contextlib.closing(writer):
        while True:
            writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len("ok"))
            await asyncio.sleep(random.uniform(5, 20) if not quiet else 3600)


async def arrivals(port: int) -> None:
    """One more, every so often."""
    here: set[asyncio.Task[None]] = set()
    while True:
        here.add(asyncio.create_task(stays(port, quiet=len(here) % 3 == 0)))
        await asyncio.sleep(random.uniform(2, 6))


async def loaded(port: int, _: int) -> None:
    """Load it."""
    await load.together(arrivals(port), load.clients(port, load.steady(3)))


if __name__ == "__main__":
    run(serve, loaded)
