"""Credits sold, for tests: purchases as `sell_credits` makes them, and money that goes back for one."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.ids import uuid7

SELL = text(
    "SELECT sell_credits(:purchase, :grant, :transaction, :customer, 'test', 'checkout_session', :source,"
    " :credits, :expires_at, :currency, :amount, :paid, :at, 'system', 'a pack', :at)"
)
RETURN = text("SELECT set_returned(:purchase, :refunded, 0, interval '30 days', 'system', :at)")


def buy(
    session: Session,
    customer_id: str,
    credits: int,
    amount: int,
    *,
    at: datetime,
    currency: str = "usd",
    tax: int = 0,
    expires_at: datetime | None = None,
) -> UUID:
    """A purchase of that many credits for an amount in minor units, and tax beside it."""
    purchase_id = uuid7()
    values = {
        "purchase": purchase_id,
        "grant": uuid7(),
        "transaction": uuid7(),
        "customer": customer_id,
        "source": f"cs_{purchase_id.hex}",
        "credits": credits,
        "expires_at": expires_at,
        "currency": currency,
        "amount": amount,
        "paid": amount + tax,
        "at": at,
    }
    assert session.scalar(SELL, values)
    return purchase_id


def give_back(session: Session, purchase_id: UUID, refunded: int, *, at: datetime) -> None:
    """That much of the payment stands as refunded now."""
    session.execute(RETURN, {"purchase": purchase_id, "refunded": refunded, "at": at})
