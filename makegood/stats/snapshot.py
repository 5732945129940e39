"""One instant, at which all queries of a page see the rows, and what they must know of the rollups at it."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from makegood import rollups
from makegood.rollups import State

STATES = "rollup_states"
"""In a session's `info`: the connection of its snapshot, and what was read there, by the time zone's name."""


def begin_snapshot(session: Session) -> None:
    """End the session's transaction and begin one in which every query sees the same instant."""
    session.rollback()
    connection = session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    session.info[STATES] = connection, {}


def state(session: Session, timezone: ZoneInfo) -> State:
    """What a reader of the rollups must know: in a snapshot, where it cannot change, it is read once."""
    begun: Connection | None
    known: dict[str, State]
    begun, known = session.info.get(STATES, (None, {}))
    if begun is not session.connection():  # another transaction, since that snapshot ended
        return rollups.state(session, timezone)
    if timezone.key not in known:
        known[timezone.key] = rollups.state(session, timezone)
    return known[timezone.key]
