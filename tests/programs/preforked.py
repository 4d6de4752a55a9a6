"""A gunicorn with three workers on a Unix socket; `GET /leak` makes the worker that answers leak.

Usage: preforked.py SOCKET. It says "ready" when the first workers serve; SIGHUP reloads them.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from typing import Any, Callable, Iterable

from gunicorn.app.base import BaseApplication

WORKERS = 3
LEAK_EACH_S = 0.5


def consume(items: queue.Queue[int]) -> None:
    """What leaks: nobody ever puts anything in."""
    items.get()


def leak_on() -> None:
    """Start one more consumer again and again."""
    while True:
        threading.Thread(target=consume, args=(queue.Queue(),), daemon=True).start()
        time.sleep(LEAK_EACH_S)


def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Say who answers, after what was asked for."""
    if environ["PATH_INFO"] == "/leak":
        threading.Thread(target=leak_on, daemon=True).start()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]


class Service(BaseApplication):  # type: ignore[misc]
    """gunicorn without its command line."""

    def load_config(self) -> None:
        """What gunicorn is to do."""
        settings = {
            "bind": f"unix:{sys.argv[1]}",
            "workers": WORKERS,
            "worker_class": "gthread",
            "threads": 4,
            "graceful_timeout": 1,
            "loglevel": "error",
            "when_ready": lambda _: print("ready", flush=True),
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The application."""
        return answer


if __name__ == "__main__":
    Service().run()
