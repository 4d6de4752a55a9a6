"""Things done every so often: a scheduler with its pool, and timers that re-arm themselves."""

from __future__ import annotations

import random
import threading

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from tests.scenarios import load, servers
from tests.scenarios.stage import run

DESCRIPTION = (
    "waitress(10) + Flask, bursts; an APScheduler with 12 jobs and a pool of 15, and 12 Timers "
    "that re-arm themselves each 2 to 7 s and come into use one by one in the first 40 s"
)
LEAKS = False
LEAKED_FUNCTION = ""


def rearmed(delay_s: float, period_s: float) -> None:
    """Do something after a while, and again and again."""
    timer = threading.Timer(delay_s, rearmed, (period_s, period_s))
    timer.daemon = True
    timer.start()


def serve(port: int, _: int) -> None:
    """Run the server."""
    scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor(15)})
    for _number in range(12):
        scheduler.add_job(servers.work, "interval", (1, 5), seconds=random.randint(5, 15))
    scheduler.start()
    for number in range(12):
        later = threading.Timer(3.0 * number, rearmed, (2.0, random.uniform(2, 7)))
        later.daemon = True
        later.start()
    servers.waitress(servers.shop(), port, threads=10)


async def loaded(port: int, _: int) -> None:
    """Load it."""
    await load.clients(port, load.bursts(1, 14, every_s=30, for_s=10))


if __name__ == "__main__":
    run(serve, loaded)
