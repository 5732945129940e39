"""What the queries of a page must know of the rollups, read once in its snapshot."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from makegood import rollups
from makegood.instants import once
from makegood.rollups import State


def state(session: Session, timezone: ZoneInfo) -> State:
    """What a reader of the rollups must know."""
    return once(session, ("rollups", timezone.key), lambda: rollups.state(session, timezone))
