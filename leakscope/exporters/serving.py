"""A small HTTP server that a Prometheus scrapes; it never holds up the watch, nor outlives it."""

from __future__ import annotations

import contextlib
import logging
import socket
import socketserver
import threading
import time
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from leakscope.errors import UsageProblem
from leakscope.exporters.addresses import Address

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

_log = logging.getLogger(__name__)

# Each connection has a thread. Who has not asked and been answered after so long is cut off, in the
# middle of a word if need be; who comes when so many are there is turned away. A tool that finds
# leaking threads is not to leak its own, nor to be deaf to its scraper for as long as others like.
PATIENCE_S = 10.0
MOST_AT_ONCE = 16
_BUSY = b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # of five, as by default, most of a crowd would be left to try again

    def __init__(self, family: int, where: Any, handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = family
        self._free = threading.BoundedSemaphore(MOST_AT_ONCE)
        self._since_s: dict[Any, float] = {}  # connection -> when it was taken
        super().__init__(where, handler)

    def server_bind(self) -> None:
        # Not HTTPServer's, which asks the DNS for its own name and may wait for that.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            with contextlib.suppress(OSError):
                request.send(_BUSY, socket.MSG_DONTWAIT)
            self.shutdown_request(request)
            return
        self._since_s[request] = time.monotonic()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._let_go(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._let_go(request)

    def _let_go(self, request: Any) -> None:
        del self._since_s[request]
        self._free.release()

    def service_actions(self) -> None:
        """Cut off who takes too long. Called twice a second, or more often when many come."""
        latest_s = time.monotonic() - PATIENCE_S
        for request, since_s in list(self._since_s.items()):
            if since_s < latest_s:
                with contextlib.suppress(OSError):  # it may just have ended
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        _log.debug("a request from %s failed", client_address, exc_info=True)


class Serving:
    """Listens from when it is made, and answers from when it is started until it is closed.

    It answers from a thread of its own, so it is not to be started before a fork.
    """

    def __init__(self, address: Address, handler: type[BaseHTTPRequestHandler]) -> None:
        """Raises UsageProblem when nothing can listen there."""

        try:
            family, _, _, _, where = socket.getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            self._server = _Server(family, where, handler)
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise UsageProblem(f"cannot listen on {address}: {why}") from None
        self._is_started = False

    @property
    def address(self) -> Address:
        """Where it listens, in numbers."""
        host, port = self._server.socket.getsockname()[:2]
        return Address(host, port)

    def start(self) -> None:
        """Answer from now on; who came before has waited."""
        if not self._is_started:
            self._is_started = True
            threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        """Answer no more. Returns when the port is free."""
        if self._is_started:
            self._server.shutdown()
        self._server.server_close()
