"""Whether a worker is at work: each one says every few seconds that it is there, whatever it is busy with.

The queue keeps when it did, and forgets it with the worker; the rollups know when they were last folded. What
counts is the later of both, and the database's clock, which wrote them.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, select, text
from sqlalchemy.orm import Session

_AWAY = text(
    """
    SELECT seen_at FROM (
        SELECT greatest(folded_at, (SELECT max(last_heartbeat) FROM procrastinate_workers)) AS seen_at
          FROM rollup_state
    ) AS worker WHERE seen_at < clock_timestamp() - interval '2 minutes'
    """
).columns(seen_at=DateTime(timezone=True))
AWAY_SINCE = _AWAY.scalar_subquery()
"""`away_since` as a column, for who has something to ask the database anyway."""


def away_since(session: Session) -> datetime | None:
    """When a worker was last at work, if none is; None while one is. For pages of what only a worker does."""
    return session.scalar(select(AWAY_SINCE))
