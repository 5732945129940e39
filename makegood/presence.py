"""Whether a worker is at work: each one folds the rollups every few seconds, and the fold says when that was."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood.models import RollupState

AWAY_AFTER = timedelta(minutes=2)


def away_since(session: Session, *, at: datetime) -> datetime | None:
    """When a worker was last at work, if none is; None while one is. For pages of what only a worker does."""
    return noticed(session.scalars(select(RollupState.folded_at)).one(), at=at)


def noticed(last: datetime, *, at: datetime) -> datetime | None:
    """The same for who has read when a worker was `last` at work."""
    return last if last < at - AWAY_AFTER else None
