"""A pool of a worker that gets its tasks in bursts, some of them long."""

from __future__ import annotations

from tests.scenarios import servers
from tests.scenarios.queues import celery_app, celery_worker, sending
from tests.scenarios.stage import run

DESCRIPTION = (
    "celery worker, thread pool(20), in-memory broker; short tasks in bursts of 20 s, and "
    "long ones of 10 to 25 s all the time: the pool fills up, its workers wait in two places"
)
LEAKS = False
LEAKED_FUNCTION = ""

app = celery_app()


@app.task
def compute() -> None:
    """A task like most."""
    servers.work()


@app.task
def crawl() -> None:
    """A task that takes longer."""
    servers.work(10, 25)


def serve(_: int, __: int) -> None:
    """Run the worker, and what sends it tasks."""
    sending(compute, every_s=0.3, burst_s=20)
    sending(crawl, every_s=4)
    celery_worker(app, threads=20)


if __name__ == "__main__":
    run(serve)
