"""Handlers that wait, without a timeout, for a result that a batch has lost."""

from __future__ import annotations

import queue
import random
import threading
import time
from concurrent.futures import Future

from tests.scenarios import load, servers
from tests.scenarios.stage import leaked, run

DESCRIPTION = (
    "werkzeug (a thread a request) + Flask, bursts; handlers wait for a Future that a batch "
    "completes in 0.3 to 3 s, but every 6 s one is lost: its handler waits for ever, in the same "
    "whole stack"
)
LEAKS = True
LEAKED_FUNCTION = r"price"

app = servers.shop()
Job = tuple[str, threading.Thread, "Future[str]"]
jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()


@app.get("/price/<name>")
def price(name: str) -> str:
    """Ask for a price, in a batch with others."""
    answer: Future[str] = Future()
    jobs.put((name, threading.current_thread(), answer))
    return answer.result()


def batches() -> None:
    """Complete what was asked for, a batch at a time; what fails is forgotten."""
    pending: list[tuple[float, Job]] = []
    while True:
        time.sleep(0.1)
        now = time.monotonic()
        while not jobs.empty():
            pending.append((now + random.uniform(0.3, 3.0), jobs.get()))
        for _, (name, thread, answer) in [job for job in pending if job[0] <= now]:
            if name == "unknown":
                leaked(thread)
            else:
                answer.set_result("1.00")
        pending = [job for job in pending if job[0] > now]


def serve(port: int, _: int) -> None:
    """Run the server."""
    threading.Thread(target=batches, name="batches", daemon=True).start()
    servers.werkzeug(app, port)


async def loaded(port: int, _: int) -> None:
    """Load it."""
    await load.together(
        load.clients(port, load.bursts(3, 16, every_s=30, for_s=10), "/price/known"),
        load.visits(port, "/price/unknown", every_s=6),
    )


if __name__ == "__main__":
    run(serve, loaded)
