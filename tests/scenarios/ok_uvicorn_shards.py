"""A worker for each shard, started when the shard is first asked for: bounded by their number."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.scenarios import load, servers
from tests.scenarios.stage import run

DESCRIPTION = (
    "uvicorn + starlette, sine load; a one-thread executor for each of 24 shards, started at its "
    "first use; the shards come into use one by one over 100 s, and then there are no more"
)
LEAKS = False
SLOW = True
LEAKED_FUNCTION = ""

SHARDS = 24
EACH_S = 100 / SHARDS

writers: dict[int, ThreadPoolExecutor] = {}
began = time.monotonic()


def page(_: Request) -> PlainTextResponse:
    """Write to one of the shards that are in use so far."""
    shard = random.randrange(min(SHARDS, 1 + int((time.monotonic() - began) / EACH_S)))
    if shard not in writers:
        writers[shard] = ThreadPoolExecutor(1, thread_name_prefix=f"shard{shard}")
    return PlainTextResponse(writers[shard].submit(servers.work, 0.05, 0.3).result())


def serve(port: int, _: int) -> None:
    """Run the server."""
    servers.uvicorn(Starlette(routes=[Route("/", page)]), port)


async def loaded(port: int, _: int) -> None:
    """Load it."""
    await load.clients(port, load.sine(2, 10, 60))


if __name__ == "__main__":
    run(serve, loaded)
