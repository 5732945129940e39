"""Balance transactions for tests, written as the mirror keeps them, and how far they have been read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from sqlalchemy.orm import Session

from makegood.models import BalanceTransaction, ExchangeRate, StripeResource

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
            "problem": None,
            "reached": at - timedelta(days=400),
            "newest": at,
            "started_at": at,
            "finished_at": at,
            "read_at": at,
            **columns,
        }
    )
    row = session.merge(row)
    session.flush()
    return row


def a_month(session: Session, now: datetime) -> None:
    """Thirty days of balance transactions in US dollars and euros, all of them read; the euro has rates."""
    for back in range(30):
        at = now - timedelta(days=back, minutes=30)
        for number in range(2 + back % 3):
            moved(session, "charge", 2_900 + 700 * number, 114, at=at - timedelta(minutes=number))
        if back % 4 == 0:
            moved(session, "charge", 4_900, 200, currency="eur", at=at)
        if back % 7 == 3:
            moved(session, "refund", -2_900, at=at, body={"description": "REFUND FOR CHARGE"})
            moved(session, "payout", -20_000, at=at, body={"description": "STRIPE PAYOUT"})
    moved(session, "dispute", -3_600, 1_500, at=now - timedelta(days=5))
    moved(session, "fee", -1_250, at=now - timedelta(days=9), body={"description": "Billing - Usage Fee"})
    moved(session, "newly_invented_category", -300, at=now - timedelta(days=2))
    for days, usd in ((40, "1.0820"), (12, "1.0911")):
        day, worth = (now - timedelta(days=days)).date(), Decimal(usd)
        session.add(ExchangeRate(currency="eur", day=day, usd_per_unit=worth, source="ECB", actor="test"))
    all_read(session, now)
