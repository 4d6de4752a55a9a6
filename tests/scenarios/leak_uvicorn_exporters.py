"""A tracer provider per change of settings, the one before never shut down."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.scenarios import load, servers
from tests.scenarios.stage import leaving, run

DESCRIPTION = (
    "uvicorn + starlette, bursts; every 16 s new settings bring an OpenTelemetry provider, and the "
    "old one is not shut down: its exporter waits where those of four regions wait, by right"
)
LEAKS = True
SLOW = True
LEAKED_FUNCTION = r"OtelBatchSpan"

REGIONS = ("eu", "us", "ap", "sa")


class Nowhere(SpanExporter):
    """An exporter that loses all it is given."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Take the spans."""
        return SpanExportResult.SUCCESS


def provider() -> TracerProvider:
    """A provider with its own exporting thread."""
    made = TracerProvider()
    made.add_span_processor(BatchSpanProcessor(Nowhere()))
    return made


providers = {region: provider() for region in REGIONS}
current = [provider()]


def page(request: Request) -> PlainTextResponse:
    """A page with spans of the region's provider."""
    region = REGIONS[hash(request.client) % len(REGIONS)]
    with (
        providers[region].get_tracer("shop").start_as_current_span("page"),
        current[-1].get_tracer("shop").start_as_current_span("inner"),
    ):
        return PlainTextResponse(servers.work())


def settings(_: Request) -> PlainTextResponse:
    """Take new settings."""
    with leaving("OtelBatchSpan"):
        current.append(provider())
    return PlainTextResponse("taken")


def serve(port: int, _: int) -> None:
    """Run the server."""
    servers.uvicorn(Starlette(routes=[Route("/", page), Route("/settings", settings)]), port)


async def loaded(port: int, _: int) -> None:
    """Load it."""
    await load.together(
        load.clients(port, load.bursts(3, 15, every_s=35, for_s=12)),
        load.visits(port, "/settings", every_s=16),
    )


if __name__ == "__main__":
    run(serve, loaded)
