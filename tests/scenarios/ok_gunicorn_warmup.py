"""gunicorn's own pool, that fills up as load comes."""

from __future__ import annotations

from tests.scenarios import load, servers
from tests.scenarios.stage import run

DESCRIPTION = (
    "gunicorn gthread(30) + Flask, clients ramp from 1 to 24 over 90 s: the pool fills up slowly, "
    "and is mostly idle"
)
LEAKS = False
LEAKED_FUNCTION = ""

app = servers.shop()


def serve(port: int, _: int) -> None:
    """Run the server."""
    servers.gunicorn("tests.scenarios.ok_gunicorn_warmup:app", port, threads=30)


async def loaded(port: int, _: int) -> None:
    """Load it."""
    await load.clients(port, load.ramp(1, 24, 90), pause_s=1.0)


if __name__ == "__main__":
    run(serve, loaded)
