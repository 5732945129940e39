"""A simulated provider's HTTP server. `start()` runs it inside a process, `python -m simulator` as one."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from socketserver import TCPServer
from typing import Any

from simulator.dialect import Dialect, Keys, Submission
from simulator.dialects import DIALECTS
from simulator.handler import Handler
from simulator.jobs import Job, Jobs

HANDLERS = 256
SUBMIT_SECONDS = 0.25

API_KEY = "simulated-key"
API_SECRET = "simulated-secret-of-at-least-32-bytes"  # noqa: S105 (a default for tests)
WEBHOOK_SECRET = "whsec_c2ltdWxhdGVkLXdlYmhvb2stc2VjcmV0"  # noqa: S105
"""Readable as text and as base64, because some providers take it for the one and some for the other."""


class Simulator:
    """A running simulated provider."""

    def __init__(self, server: Server, jobs: Jobs) -> None:
        self._server = server
        self._jobs = jobs
        self.name = server.dialect.name
        self.settings = server.dialect.settings
        self.keys = jobs.keys
        self.base_url = jobs.base_url
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="simulator", daemon=True
        )
        self._thread.start()

    @property
    def submitted(self) -> list[Submission]:
        """Every submit that could be read, whether or not it was taken."""
        return list(self._jobs.submitted)

    @property
    def accepted(self) -> list[Job]:
        """The jobs that were taken, in order: none may be there twice."""
        return list(self._jobs.accepted)

    @property
    def delivered(self) -> list[tuple[str, str, int | None]]:
        """The callbacks sent: job, state, HTTP status of the answer (None without one)."""
        return list(self._jobs.delivered)

    def stop(self) -> None:
        """Close every connection, send nothing more, and wait until all threads are gone."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._jobs.stop()

    def __enter__(self) -> Simulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(
    port: int = 0,
    *,
    dialect: str = "simulated",
    host: str = "127.0.0.1",
    api_key: str = API_KEY,
    api_secret: str = API_SECRET,
    webhook_secret: str = WEBHOOK_SECRET,
    seed: int | None = None,
    speed: float = 1.0,
    late_seconds: float = 180.0,
    hang_seconds: float = 60.0,
    max_running: int | None = None,
    trouble: float = 0.0,
) -> Simulator:
    """Start a simulated provider. Port 0 takes a free one; see `base_url`. Raises OSError if the port is taken,
    KeyError for a dialect that there is none of.

    `speed` divides every duration but one: a submit that hangs is let go when its client goes away, or after
    `hang_seconds`. A `late` callback is sent `late_seconds` after the job ended. Beyond `max_running` jobs it is
    busy. The share `trouble` of all requests but submits meets a proxy's page with HTTP 502.
    """
    spoken = DIALECTS[dialect]()
    keys = Keys(api_key, api_secret, webhook_secret)
    jobs = Jobs(spoken, keys, seed=seed, speed=speed, late_seconds=late_seconds)
    try:
        server = Server((host, port), spoken, jobs)
    except OSError:
        jobs.stop()
        raise
    server.submit_seconds = SUBMIT_SECONDS / speed
    server.hang_seconds = hang_seconds
    server.max_running = max_running
    server.trouble = trouble
    jobs.base_url = f"http://{host}:{server.server_address[1]}"
    return Simulator(server, jobs)


class Server(TCPServer):
    """A server with a bounded number of threads."""

    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], dialect: Dialect, jobs: Jobs) -> None:
        self.dialect = dialect
        self.jobs = jobs
        self.submit_seconds = SUBMIT_SECONDS
        self.hang_seconds = 0.0
        self.max_running: int | None = None
        self.trouble = 0.0
        self.stopping = threading.Event()
        self._handlers = ThreadPoolExecutor(HANDLERS, thread_name_prefix="simulator-handler")
        self._open: set[socket.socket] = set()
        # Last, because it closes everything again if the port is taken.
        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        self._handlers.submit(self._handle, request, client_address)

    def server_close(self) -> None:
        self.stopping.set()
        super().server_close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._handlers.shutdown()

    def _handle(self, request: socket.socket, client_address: Any) -> None:
        # A client that went away is none of our concern.
        try:
            with suppress(OSError):
                self.finish_request(request, client_address)
        finally:
            self.shutdown_request(request)
            self._open.discard(request)
