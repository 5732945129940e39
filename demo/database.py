"""The embedded PostgreSQL for an application that was given no database: started when it is first needed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

import embedded
from demo.state import DIRECTORY

ADDRESS = "postgresql+psycopg://"
"""What stands for the embedded database in the settings until its server runs."""

_lock = threading.Lock()
_servers: dict[Path, embedded.EmbeddedServer] = {}


def server(directory: Path = DIRECTORY) -> embedded.EmbeddedServer:
    """This process's share of the server, started or joined now if it is not running. Raises EmbeddedError."""
    with _lock:
        known = _servers.get(directory)
        if known is None or not known.usable():
            _servers[directory] = embedded.start(directory)
            if known is not None:
                known.stop()
        return _servers[directory]


def connect_to_embedded(engine: Engine) -> None:
    """Let an engine that was made for ADDRESS find the server at each new connection."""

    @event.listens_for(engine, "do_connect")
    def find_server(_: Any, __: Any, ___: Any, parameters: dict[str, Any]) -> None:
        parameters.update(server().parameters())


def close() -> None:
    """Stop the server if this process started it, else only leave it."""
    with _lock:
        while _servers:
            _, known = _servers.popitem()
            known.stop(even_in_use=known.started)
