"""A small HTTP server on this machine that answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler


@dataclass(frozen=True)
class Request:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = tuple[int, bytes] | tuple[int, bytes, dict[str, str]] | Callable[[socket.socket], None]
"""A status and a JSON body (and headers), or a function that does what it likes with the connection."""


class Loopback:
    """Answers every request with `answer`, after those in `first` were given once each. A context manager."""

    def __init__(self, answer: Answer = (200, b"{}")) -> None:
        self.answer = answer
        self.first: list[Answer] = []
        self.headers: dict[str, str] = {}
        self.requests: list[Request] = []
        self._arrived = threading.Condition()
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def _handle(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, self.rfile.read(length))
                with loopback._arrived:
                    loopback.requests.append(request)
                    answer = loopback.first.pop(0) if loopback.first else loopback.answer
                    loopback._arrived.notify_all()
                if callable(answer):
                    self.close_connection = True
                    with suppress(OSError):
                        answer(self.connection)
                    return
                status, body, *own = answer
                sent = {"Content-Type": "application/json", "Content-Length": str(len(body)), **loopback.headers}
                self.send_response(status)
                for name, value in {**sent, **(own[0] if own else {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _handle

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: object, client_address: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def wait_for(self, count: int, seconds: float = 5.0) -> list[Request]:
        """The requests, as soon as there are `count` of them."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.requests) >= count, seconds), self.requests
            return list(self.requests)

    def __enter__(self) -> Loopback:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port
