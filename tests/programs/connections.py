"""A server with a thread for each connection, whose clients connect one by one and keep quiet.

Commands: connect N SECONDS, close N, count, quit.
"""

from __future__ import annotations

import argparse
import http.server
import socket
import socketserver
import threading
import time

from command_loop import serve


class LinesHandler(socketserver.StreamRequestHandler):
    """Answers each line with the same line, for as long as its client stays."""

    def handle(self) -> None:
        """Read through the file of the socket."""
        for line in self.rfile:
            self.wfile.write(line)


class BytesHandler(socketserver.BaseRequestHandler):
    """Answers what comes with the same, for as long as its client stays."""

    def handle(self) -> None:
        """Read the socket itself."""
        while True:
            received = self.request.recv(1024)
            if not received:
                return
            self.request.sendall(received)


class WebHandler(http.server.BaseHTTPRequestHandler):
    """Answers requests, and keeps connections open as HTTP/1.1 does."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with nothing."""
        self.send_response(204)
        self.end_headers()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""


HANDLERS = {"lines": LinesHandler, "bytes": BytesHandler, "web": WebHandler}
ASKED = {"lines": b"x\n", "bytes": b"x\n", "web": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"}


class Server(socketserver.ThreadingTCPServer):
    """One thread for each connection."""

    daemon_threads = True
    request_queue_size = 128


class Clients:
    """Idle connections to the server, all held here; they need no threads of their own."""

    def __init__(self, port: int, asked: bytes) -> None:
        self._port = port
        self._asked = asked
        self._open: list[socket.socket] = []

    def connect(self, number: str, seconds: str) -> str:
        """Open that many connections, evenly over that time; each is served once, then idle."""
        began = time.monotonic()
        for i in range(int(number)):
            due = began + i * float(seconds) / int(number)
            time.sleep(max(0.0, due - time.monotonic()))
            client = socket.create_connection(("127.0.0.1", self._port))
            client.sendall(self._asked)
            client.recv(1024)
            self._open.append(client)
        return self.count()

    def close(self, number: str) -> str:
        """Close the oldest connections."""
        for client in self._open[: int(number)]:
            client.close()
        del self._open[: int(number)]
        return self.count()

    def count(self) -> str:
        """Say how many are open."""
        return f"connections {len(self._open)}"


def main() -> None:
    """Start the server, then do as told."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--handler", choices=sorted(HANDLERS), default="lines")
    options = parser.parse_args()
    server = Server(("127.0.0.1", 0), HANDLERS[options.handler])
    threading.Thread(target=server.serve_forever, name="server", daemon=True).start()
    clients = Clients(server.server_address[1], ASKED[options.handler])
    serve({"connect": clients.connect, "close": clients.close, "count": clients.count})


if __name__ == "__main__":
    main()
