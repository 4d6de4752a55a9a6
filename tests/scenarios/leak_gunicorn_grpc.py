"""A subscription that is made anew when it breaks, without ending the requests of the old one."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc

from tests.scenarios import load, servers
from tests.scenarios.stage import run

DESCRIPTION = (
    "gunicorn gthread(8) + Flask, sine load; from 40 s on an upstream ends a gRPC stream each 4 s, "
    "and the client calls again without ending the request iterator of the call before"
)
LEAKS = True
LEAKED_FUNCTION = r"consume_request_iterator"

METHOD = "/Prices/Follow"
CALM_S = 40.0

app = servers.shop()


def requests_of(pending: queue.Queue[bytes]) -> Iterator[bytes]:
    """What to ask for, as it comes to mind."""
    while True:
        yield pending.get()


def follow(port: int) -> None:
    """Follow the prices, for ever."""
    follows = grpc.insecure_channel(f"{servers.HOST}:{port}").stream_stream(METHOD)
    while True:
        pending: queue.Queue[bytes] = queue.Queue()
        pending.put(b"all")
        with contextlib.suppress(grpc.RpcError):
            for _ in follows(requests_of(pending)):
                pass
        time.sleep(0.5)


@app.get("/follow/<int:port>")
def begin(port: int) -> str:
    """Begin to follow; not before: gRPC must not be used before a fork."""
    threading.Thread(target=follow, args=(port,), name="follows", daemon=True).start()
    return "begun"


async def answered(requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
    """Tell the prices; break off, once the calm is over."""
    loop = asyncio.get_running_loop()
    calm = CALM_S - (loop.time() - started[0])
    until = loop.time() + max(calm, 3.5)
    while loop.time() < until:
        yield b"1.00"
        await asyncio.sleep(1.0)


started = [0.0]


async def upstream(port: int) -> None:
    """Serve the prices."""
    started[0] = asyncio.get_running_loop().time()
    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(answered)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("Prices", {"Follow": handler}),)
    )
    server.add_insecure_port(f"{servers.HOST}:{port}")
    await server.start()
    await server.wait_for_termination()


def serve(port: int, _: int) -> None:
    """Run the server."""
    servers.gunicorn("tests.scenarios.leak_gunicorn_grpc:app", port, threads=8)


async def loaded(port: int, other: int) -> None:
    """Load it."""
    await load.together(
        upstream(other),
        load.get(port, f"/follow/{other}"),
        load.clients(port, load.sine(1, 9, 45)),
    )


if __name__ == "__main__":
    run(serve, loaded)
