"""How far the balance transactions have been read: what the figures can be trusted for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from makegood.instants import once
from makegood.models import StripeResource
from makegood.ranges import Range

RESOURCE = "balance_transactions"
OVERDUE = timedelta(hours=2)
"""How long after the last complete reading figures of now are called late."""


@dataclass(frozen=True)
class Reading:
    """The state of the list: `waiting` (never read), `backfill`, `current`, `no_permission` or `failed`.

    Everything since `reached` is there, up to `read_at`; once `finished`, all of it is. Without a `read_at`
    nothing is certain yet, nor while some are `unkept`: nobody knows of which days those are.
    """

    state: str
    finished: bool = False
    reached: datetime | None = None
    read_at: datetime | None = None
    objects: int = 0
    problem: str | None = None
    unkept: int = 0

    def covers(self, asked: Range) -> bool:
        """Whether all of a range has been read, as far as it has passed."""
        began = self.finished or (self.reached is not None and self.reached <= asked.start)
        return began and not self.late(asked) and not self.unkept

    def late(self, asked: Range) -> bool:
        """Whether the last reading is older than what the range asks for."""
        return self.read_at is None or self.read_at < min(asked.end, asked.now) - OVERDUE


def unread(state: Reading, asked: Range) -> str | None:
    """Why the figures of a range are not complete, as a sentence; None where they are."""
    if state.covers(asked):
        return None
    if state.read_at is None:
        return "Stripe's balance transactions have not been read yet."
    if state.unkept:
        return "Some of Stripe's balance transactions were read and could not be kept; the page Stripe names them."
    if state.late(asked):
        return f"Stripe's balance transactions were last read at {state.read_at.isoformat(timespec='seconds')}."
    reached = f" They go back to {state.reached.isoformat(timespec='seconds')}." if state.reached else ""
    return f"Stripe's balance transactions are still being read, from the newest back.{reached}"


def has_begun(session: Session) -> bool:
    """Whether Stripe's balance transactions have been read at all."""
    return of(session).read_at is not None


def of(session: Session) -> Reading:
    """How far they have been read."""
    return once(session, RESOURCE, lambda: _of(session))


def _of(session: Session) -> Reading:
    row = session.get(StripeResource, RESOURCE, populate_existing=True)
    if row is None:
        return Reading("waiting")
    # While the first reading goes on, what it began with is the newest that is there.
    read_at = row.read_at or (row.started_at if row.reached is not None else None)
    return Reading(
        row.state, row.finished_at is not None, row.reached, read_at, row.objects, row.problem, len(row.unkept)
    )
