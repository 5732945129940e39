"""Debts: credits that were to be taken back and had been spent. They are taken from purchased credits, never from
allowances, bonuses or adjustments, and the balance never goes below zero.

Whatever gives purchased credits settles them at once (`give_credits`); what a refund returns is taken here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import exists, func, select, text
from sqlalchemy.orm import Session

from makegood import ledger
from makegood.models import Grant, Purchase
from makegood.purchases import locks

SETTLE = text("SELECT settle_debts(:customer, :at)")


@dataclass(frozen=True)
class Debt:
    """What a customer owes: credits, of how many purchases."""

    customer_id: str
    credits: int
    purchases: int


def settle(session: Session, *, at: datetime | None = None, limit: int = 500) -> int:
    """Take what is owed from purchased credits of at most `limit` customers who have some. Returns how many."""
    locks.begin(session)
    at = at or datetime.now(UTC)
    some = exists().where(
        Grant.customer_id == Purchase.customer_id, Grant.source == "purchase", Grant.remaining > 0
    )
    due = select(Purchase.customer_id).where(Purchase.owed > 0, some).distinct()
    customers = list(session.scalars(due.order_by(Purchase.customer_id).limit(limit)))
    for customer_id in customers:
        ledger.lock(session, customer_id, at)
        session.execute(SETTLE, {"customer": customer_id, "at": at})
    return len(customers)


def owed(session: Session, customer_id: str) -> int:
    """Credits that a customer owes."""
    query = select(func.coalesce(func.sum(Purchase.owed), 0)).where(
        Purchase.customer_id == customer_id, Purchase.owed > 0
    )
    return int(session.scalar(query) or 0)
