"""The simulated Stripe's HTTP server: `start(account)` runs it inside a process."""

from __future__ import annotations

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from simulator.stripe import live
from simulator.stripe.account import Store
from simulator.stripe.answers import Refused, answer
from simulator.stripe.billing import Account
from simulator.stripe.deliveries import Delivery, Post, deliver
from simulator.stripe.faults import Faults

API_KEY = "rk_test_simulated"
RATE_LIMITED = {"Stripe-Rate-Limited-Reason": "endpoint-rate"}
PROXYS_PAGE = b"<html><title>502 Bad Gateway</title></html>"


class SimulatedStripe:
    """A running simulated Stripe. `url` is its address, `faults` what its clients will meet."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self.account = server.account
        self.faults = server.faults
        self.api_key = server.api_key
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="simulated-stripe", daemon=True
        )
        self._thread.start()

    @property
    def requests(self) -> list[str]:
        """The paths, with what was asked, of all requests so far."""
        return list(self._server.requests)

    def deliver(self, post: Post, **options: Any) -> list[Delivery]:
        """Send what has not been delivered yet: see `simulator.stripe.deliveries.deliver`."""
        return deliver(self.account, post, **options)

    def stop(self) -> None:
        """Answer nothing more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> SimulatedStripe:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(account: Store, port: int = 0, *, api_key: str = API_KEY) -> SimulatedStripe:
    """Serve an account. Port 0 takes a free one; see `url`. Raises OSError if the port is taken."""
    return SimulatedStripe(_Server(account, port, api_key))


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, account: Store, port: int, api_key: str) -> None:
        self.account, self.api_key = account, api_key
        self.faults = Faults()
        self.requests: list[str] = []
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that went away is none of our concern."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "simulated-stripe"
    sys_version = ""
    timeout = 15.0
    wbufsize = -1  # headers and body in one packet
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        server = cast("_Server", self.server)
        address = urlsplit(self.path)
        server.requests.append(self.path)
        fault = server.faults.draw(self.path)
        if fault == "cut":
            self.close_connection = True
            return None
        if fault == "429":
            problem = {"message": "Request rate limit exceeded.", "type": "invalid_request_error"}
            return self._send(429, {"error": {**problem, "code": "rate_limit"}}, RATE_LIMITED)
        if fault == "500":
            return self._send(500, {"error": {"message": "An unknown error occurred", "type": "api_error"}})
        if fault == "page":
            return self._send(502, PROXYS_PAGE)
        if self.headers.get("Authorization") != f"Bearer {server.api_key}":
            problem = {"message": "Invalid API Key provided: rk_test_****", "type": "invalid_request_error"}
            return self._send(401, {"error": problem})
        try:
            found = answer(server.account, address.path, parse_qsl(address.query, keep_blank_values=True))
            return self._send(200, found, half=fault == "half")
        except Refused as refused:
            return self._send(refused.status, {"error": refused.error})

    def do_POST(self) -> None:
        """Have somebody buy, who is not the key's owner; everything else is refused: the key may only read."""
        server = cast("_Server", self.server)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        known = self.headers.get("Authorization") == f"Bearer {server.api_key}"
        if self.path == "/_buy" and known and isinstance(server.account, Account):
            asked = json.loads(raw)
            try:
                session = live.buy(server.account, asked["user_id"], asked["email"], str(asked["credits"]))
            except LookupError as error:
                return self._send(400, {"error": {"message": str(error), "type": "invalid_request_error"}})
            return self._send(200, {"id": session["id"]})
        problem = "The provided key does not have the required permissions for this endpoint."
        return self._send(403, {"error": {"message": problem, "type": "invalid_request_error"}})

    def _send(self, status: int, value: Any, headers: dict[str, str] | None = None, *, half: bool = False) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value, indent=2).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(value, bytes) else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Request-Id", f"req_{len(cast('_Server', self.server).requests)}")
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.close_connection |= half
        self.wfile.write(content[: len(content) // 2] if half else content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""
