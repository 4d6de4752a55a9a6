"""Load on a server: HTTP clients on asyncio, whose number follows a course over time."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import Awaitable, Callable
from itertools import count

Course = Callable[[float], float]  # seconds since the start -> number of clients
Paths = Callable[[], str]

HOST = "127.0.0.1"
STEP_S = 0.5
TIMEOUT_S = 60.0


def steady(clients: int) -> Course:
    """Always the same."""
    return lambda _: clients


def sine(low: float, high: float, period_s: float) -> Course:
    """Day and night."""
    return lambda s: low + (high - low) * (1 - math.cos(2 * math.pi * s / period_s)) / 2


def bursts(low: float, high: float, *, every_s: float, for_s: float) -> Course:
    """Quiet, but for a burst every so often."""
    return lambda s: high if s % every_s > every_s - for_s else low


def ramp(low: float, high: float, over_s: float) -> Course:
    """More and more, then steady."""
    return lambda s: low + (high - low) * min(1.0, s / over_s)


async def get(port: int, path: str) -> bytes:
    """One request over a connection of its own; what a server refuses is no concern here."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(HOST, port)
            with contextlib.closing(writer):
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {HOST}\r\n\r\n".encode())
                return await reader.read()
    except (OSError, TimeoutError):
        return b""


async def clients(
    port: int, course: Course, paths: Paths | str = "/", pause_s: float = 0.5
) -> None:
    """Clients that ask, wait for the answer, rest a while, and ask again."""
    began = asyncio.get_running_loop().time()
    running: list[asyncio.Task[None]] = []

    def wanted() -> int:
        return round(course(asyncio.get_running_loop().time() - began))

    async def client(number: int) -> None:
        while number < wanted():
            await get(port, paths if isinstance(paths, str) else paths())
            await asyncio.sleep(random.expovariate(1 / pause_s))

    while True:
        running = [task for task in running if not task.done()]
        running += [asyncio.create_task(client(n)) for n in range(len(running), wanted())]
        await asyncio.sleep(STEP_S)


async def visits(port: int, path: str, every_s: float, after_s: float = 0.0) -> None:
    """A request every so often, regular in the mean only; `{}` in the path is its number."""
    await asyncio.sleep(after_s)
    asked = set()
    for number in count():
        task = asyncio.create_task(get(port, path.format(number)))
        asked.add(task)
        task.add_done_callback(asked.discard)
        await asyncio.sleep(every_s * random.uniform(0.6, 1.4))


async def slow_upstream(port: int, least_s: float, most_s: float) -> None:
    """An HTTP service that takes its time."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(random.uniform(least_s, most_s))
            writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, HOST, port)
    await server.serve_forever()


async def together(*parts: Awaitable[object]) -> None:
    """All parts of a load at once."""
    await asyncio.gather(*parts)
