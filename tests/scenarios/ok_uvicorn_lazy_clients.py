"""Clients of many kinds, each started when it is first needed: once."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
from apscheduler.schedulers.background import BackgroundScheduler
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from pymongo import MongoClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from watchdog.observers import Observer

from tests.scenarios import load, servers
from tests.scenarios.stage import run

DESCRIPTION = (
    "uvicorn + starlette, sine load; nine clients, exporters, schedulers and observers are started "
    "one by one, 7 s apart, each when it is first needed, and stay"
)
LEAKS = False
LEAKED_FUNCTION = ""

NOBODY = "mongodb://127.0.0.1:9"
kept: list[Any] = []
lock = threading.Lock()


def mongo() -> Any:
    """A database that is away: its monitors look for it."""
    return MongoClient(NOBODY, serverSelectionTimeoutMS=2000)


def messages() -> Any:
    """A broker that is away."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.connect_async(servers.HOST, 9)
    client.loop_start()
    return client


def traces() -> Any:
    """An exporter of spans."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
    return provider


def jobs() -> Any:
    """A scheduler with a job."""
    scheduler = BackgroundScheduler()
    scheduler.add_job(servers.work, "interval", seconds=3)
    scheduler.start()
    return scheduler


def files() -> Any:
    """An observer of files."""
    observer = Observer()
    observer.start()
    return observer


KINDS: list[Callable[[], Any]] = [mongo, traces, messages, jobs, files, mongo, traces, jobs, files]


def page(_: Request) -> PlainTextResponse:
    """A page."""
    return PlainTextResponse(servers.work())


def more(_: Request) -> PlainTextResponse:
    """A page that needs something that no page needed before, as long as there is something."""
    with lock:
        if len(kept) < len(KINDS):
            kept.append(KINDS[len(kept)]())
    return PlainTextResponse("ok")


def serve(port: int, _: int) -> None:
    """Run the server."""
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        servers.uvicorn(Starlette(routes=[Route("/", page), Route("/more", more)]), port)


async def loaded(port: int, _: int) -> None:
    """Load it."""
    await load.together(
        load.clients(port, load.sine(2, 9, 45)), load.visits(port, "/more", every_s=7)
    )


if __name__ == "__main__":
    run(serve, loaded)
