"""What Makegood asks of the database server itself."""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from makegood.errors import MakegoodError

CONNECT_SECONDS = 3
DURABILITY_SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")

log = structlog.get_logger()


class UnsafeDatabase(MakegoodError):
    """The server may forget what it has confirmed. `settings` in the details names why."""

    code = "unsafe_database"
    status = 500


def check_server(address: str) -> None:
    """`check_durability` at the start of a process. A server that does not answer now is checked by nobody.

    Raises UnsafeDatabase.
    """
    engine = create_engine(address, connect_args={"connect_timeout": CONNECT_SECONDS})
    try:
        with Session(engine) as session:
            check_durability(session)
    except OperationalError:
        log.warning("database_not_checked", reason="it does not answer")
    finally:
        engine.dispose()


def check_durability(session: Session) -> None:
    """Raise UnsafeDatabase when a crash of the server could lose or corrupt committed rows."""
    off = [
        name
        for name in DURABILITY_SETTINGS
        if session.scalar(text("SELECT current_setting(:name)"), {"name": name}) == "off"
    ]
    if off:
        raise UnsafeDatabase(
            f"The database runs with {' and '.join(f'{name} = off' for name in off)}: a crash would lose "
            "credits that were already confirmed. Switch it on in the settings of PostgreSQL.",
            settings=off,
        )


def alone(connection: Any, _: Any) -> None:
    """Let a new connection answer each query in one process. A page asks many small questions: to start further
    processes for one of them, beside other requests, takes longer than they save."""
    connection.execute("SET max_parallel_workers_per_gather = 0")
    connection.commit()
