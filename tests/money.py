"""Balance transactions for tests, written as the mirror keeps them, and how far they have been read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy.orm import Session

from makegood.models import BalanceTransaction, StripeResource

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
_numbers = count(1)


def moved(
    session: Session,
    category: str = "charge",
    amount: int = 1000,
    fee: int = 0,
    *,
    currency: str = "usd",
    at: datetime = NOON,
    **columns: Any,
) -> BalanceTransaction:
    """One balance transaction."""
    row = BalanceTransaction(
        **{
            "id": f"txn_{next(_numbers):06}",
            "created_at": at,
            "livemode": False,
            "type": category,
            "reporting_category": category,
            "currency": currency,
            "amount": amount,
            "fee": fee,
            "net": amount - fee,
            "status": "available",
            "available_on": at,
            "body": {},
            "read_at": at,
            **columns,
        }
    )
    session.add(row)
    session.flush()
    return row


def all_read(session: Session, at: datetime | None = None, **columns: Any) -> StripeResource:
    """All of them have been read, just now."""
    at = at or datetime.now(UTC)
    row = StripeResource(
        **{
            "name": "balance_transactions",
            "state": "current",
            "objects": 3,
            "reached": at - timedelta(days=400),
            "newest": at,
            "started_at": at,
            "finished_at": at,
            "read_at": at,
            **columns,
        }
    )
    session.add(row)
    session.flush()
    return row
