"""What gunicorn calls in the scenarios: its worker is the process to watch."""

from __future__ import annotations

from typing import Any

from tests.scenarios.stage import ready


def post_worker_init(worker: Any) -> None:
    """Say that the worker is ready."""
    ready(worker.pid)
