"""Whether a worker is at work: what it says itself counts, not how far it came."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood import presence


def fold_was(session: Session, ago: str) -> None:
    """The rollups were last folded so long ago, by the database's clock."""
    session.execute(
        text("UPDATE rollup_state SET folded_at = clock_timestamp() - CAST(:ago AS interval)"), {"ago": ago}
    )


def sign(session: Session, ago: str) -> None:
    """A worker last said so long ago that it is there."""
    seen = "clock_timestamp() - CAST(:ago AS interval)"
    session.execute(text(f"INSERT INTO procrastinate_workers (last_heartbeat) VALUES ({seen})"), {"ago": ago})


def test_a_worker_is_away_when_it_was_not_seen_for_two_minutes(session: Session) -> None:
    fold_was(session, "118 seconds")
    assert presence.away_since(session) is None
    fold_was(session, "121 seconds")
    assert presence.away_since(session) == session.scalar(text("SELECT folded_at FROM rollup_state"))


@pytest.mark.parametrize(
    ("others", "own", "away"), [("1 hour", "5 seconds", False), ("1 hour", "3 minutes", True)]
)
def test_a_worker_that_folds_nothing_is_at_work_as_long_as_it_says_so(
    session: Session, others: str, own: str, away: bool
) -> None:
    """It rebuilds, or a writer is in the way of each attempt."""
    fold_was(session, "1 day")
    for ago in (others, own):
        sign(session, ago)
    last = session.scalar(text("SELECT max(last_heartbeat) FROM procrastinate_workers"))
    assert presence.away_since(session) == (last if away else None)
