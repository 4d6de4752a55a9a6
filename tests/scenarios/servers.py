"""The servers that scenarios run their applications under."""

from __future__ import annotations

import contextlib
import random
import sys
import time
from typing import Any

from flask import Flask

from tests.scenarios.stage import ready

HOST = "127.0.0.1"


def work(least_s: float = 0.1, most_s: float = 1.2) -> str:
    """What a request does that takes a moment."""
    time.sleep(random.uniform(least_s, most_s))
    return "ok"


def shop() -> Flask:
    """An application with one page, that takes a moment."""
    app = Flask("shop")
    app.add_url_rule("/", "page", work)
    return app


def gunicorn(app: str, port: int, threads: int) -> None:
    """Run an application, named as `module:name`, in one gthread worker."""
    from gunicorn.app.wsgiapp import run

    sys.argv = [
        "gunicorn",
        "--worker-class=gthread",
        f"--threads={threads}",
        f"--bind={HOST}:{port}",
        "--config=python:tests.scenarios.gunicorn_hooks",
        "--log-level=error",
        app,
    ]
    run()


def waitress(app: Flask, port: int, threads: int) -> None:
    """Run an application under waitress."""
    from waitress import create_server

    server = create_server(app, host=HOST, port=port, threads=threads)
    ready()
    server.run()


def werkzeug(app: Flask, port: int) -> None:
    """Run an application under werkzeug's server: a thread a connection."""
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_: Any) -> None:
            pass

    server = make_server(HOST, port, app, threaded=True, request_handler=Quiet)
    ready()
    server.serve_forever()


def cheroot(app: Flask, port: int, threads: int, most: int = -1) -> Any:
    """A cheroot server, prepared: `serve()` runs it."""
    from cheroot.wsgi import Server

    server = Server((HOST, port), app, numthreads=threads, max=most)
    server.prepare()
    return server


def uvicorn(app: Any, port: int) -> None:
    """Run an ASGI application under uvicorn."""
    import uvicorn as server

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> Any:
        ready()
        yield

    app.router.lifespan_context = lifespan
    server.run(app, host=HOST, port=port, log_level="error")
