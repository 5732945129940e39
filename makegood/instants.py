"""One instant, at which all queries of a page see the rows: what cannot change in it is read once."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.orm import Session

KNOWN = "known_at_this_instant"
"""In a session's `info`: the connection of its snapshot, and what was read there."""
Found = TypeVar("Found")


def begin_snapshot(session: Session) -> None:
    """End the session's transaction and begin one in which every query sees the same instant."""
    session.rollback()
    connection = session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    session.info[KNOWN] = connection, {}


def once(session: Session, key: Hashable, read: Callable[[], Found]) -> Found:
    """What `read` finds; in a snapshot it is asked once for each key. Outside of one it is asked every time."""
    begun: Connection | None
    known: dict[Hashable, Found]
    begun, known = session.info.get(KNOWN, (None, {}))
    if begun is not session.connection():  # another transaction, since that snapshot ended
        return read()
    if key not in known:
        known[key] = read()
    return known[key]
