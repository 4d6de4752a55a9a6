"""A celery worker without a broker, and what sends it tasks."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

from celery import Celery
from celery.signals import worker_ready

from tests.scenarios.stage import ready


def celery_app() -> Celery:
    """An application whose broker is in the process itself."""
    app = Celery("shop", broker="memory://")
    app.conf.task_ignore_result = True
    app.conf.worker_hijack_root_logger = False
    return app


def sending(task: Any, *, every_s: float, burst_s: float = 0.0) -> None:
    """Send a task every so often; with `burst_s`, in bursts of that length with as long a rest."""

    def send() -> None:
        began = time.monotonic()
        while True:
            time.sleep(random.uniform(0.5, 1.5) * every_s)
            if not burst_s or (time.monotonic() - began) // burst_s % 2:
                task.delay()

    threading.Thread(target=send, name=f"sends {task.name}", daemon=True).start()


def celery_worker(app: Celery, threads: int) -> None:
    """Run a worker with a pool of threads."""

    @worker_ready.connect(weak=False)
    def tell(**_: Any) -> None:
        ready()

    app.worker_main(
        [
            "worker",
            "--pool=threads",
            f"--concurrency={threads}",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            "--loglevel=ERROR",
        ]
    )
