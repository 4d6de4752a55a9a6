"""A messaging client per task, its loop never stopped."""

from __future__ import annotations

import paho.mqtt.client as mqtt

from tests.scenarios import servers
from tests.scenarios.queues import celery_app, celery_worker, sending
from tests.scenarios.stage import run

DESCRIPTION = (
    "celery worker, thread pool(6), in-memory broker, bursts; every 5 s a task starts the loop of "
    "a paho MQTT client whose broker is away, and never stops it: it polls for ever"
)
LEAKS = True
LEAKED_FUNCTION = r"paho"

app = celery_app()
clients: list[mqtt.Client] = []
nobody = [0]


@app.task
def compute() -> None:
    """A task like most."""
    servers.work()


@app.task
def publish() -> None:
    """Tell the world, which does not listen."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.connect_async(servers.HOST, nobody[0])
    client.loop_start()
    clients.append(client)


def serve(_: int, other: int) -> None:
    """Run the worker, and what sends it tasks."""
    nobody[0] = other
    sending(compute, every_s=0.3, burst_s=20)
    sending(publish, every_s=5)
    celery_worker(app, threads=6)


if __name__ == "__main__":
    run(serve)
