"""The embedded PostgreSQL for an application that was given no database: started when it is first needed."""

from __future__ import annotations

import threading
from typing import Any

from sqlalchemy import Engine, event

import embedded
from demo import state

ADDRESS = "postgresql+psycopg://"
"""What stands for the embedded database in the settings until its server runs."""

_lock = threading.Lock()
_server: embedded.EmbeddedServer | None = None


def server() -> embedded.EmbeddedServer:
    """This process's share of the server, started or joined now if it is not running. Raises EmbeddedError."""
    global _server
    with _lock:
        if _server is None or not _server.usable():
            left, _server = _server, embedded.start(state.DIRECTORY)
            if left is not None:
                left.stop()
        return _server


def is_running() -> bool:
    """Whether the server that this process uses is alive."""
    return _server is not None and _server.usable()


def connect_to_embedded(engine: Engine) -> None:
    """Let an engine that was made for ADDRESS find the server at each new connection."""

    @event.listens_for(engine, "do_connect")
    def find_server(_: Any, __: Any, ___: Any, parameters: dict[str, Any]) -> None:
        parameters.update(server().parameters())


def close() -> None:
    """Stop the server if this process started it, else only leave it."""
    global _server
    with _lock:
        if _server is not None:
            _server.stop(even_in_use=_server.started)
            _server = None
