"""Credits sold, for tests: purchases as `sell_credits` makes them, and money that goes back for one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.ids import uuid7
from makegood.models import Charge, CheckoutSession
from tests.money import moved

SELL = text(
    "SELECT sell_credits(:purchase, :grant, :transaction, :customer, 'test', :kind, :source,"
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
    kind: str = "checkout_session",
) -> UUID:
    """A purchase of that many credits for an amount in minor units, and tax beside it."""
    purchase_id = uuid7()
    values = {
        "purchase": purchase_id,
        "grant": uuid7(),
        "transaction": uuid7(),
        "customer": customer_id,
        "kind": kind,
        "source": f"{'in' if kind == 'invoice' else 'cs'}_{purchase_id.hex}",
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


def pay(
    session: Session,
    customer_id: str | None,
    amount: int,
    fee: int = 0,
    *,
    at: datetime,
    currency: str = "usd",
    purchase_id: UUID | None = None,
) -> str:
    """A payment at Stripe of a customer or of nobody we know, for a purchase or for something else."""
    row = moved(session, "charge", amount, fee, currency=currency, at=at)
    row.source = f"ch_{row.id}"
    read = {"created_at": at, "livemode": False, "body": {}, "read_at": at, "currency": currency}
    charge = Charge(
        **read,
        id=row.source,
        payment_intent=f"pi_{row.id}",
        status="succeeded",
        amount=amount,
        amount_captured=amount,
        amount_refunded=0,
        disputed=False,
        customer_id=customer_id,
        linked_by="test" if customer_id else None,
    )
    session.add(charge)
    if purchase_id:
        session.add(
            CheckoutSession(
                **read,
                id=f"cs_{purchase_id.hex}",
                mode="payment",
                payment_status="paid",
                payment_intent=charge.payment_intent,
            )
        )
    session.flush()
    return row.source


def a_season(session: Session, customers: Sequence[str], now: datetime) -> None:
    """Credits sold over forty days: some by the month, used first, others in packs; in two currencies, one with
    half of its money back. The last customers paid for nothing."""
    for number, customer_id in enumerate(customers[:8]):
        at = now - timedelta(days=36, hours=number)
        expires_at = now + timedelta(days=2 + 9 * number)
        buy(session, customer_id, 40 + 10 * number, 1_200, tax=228, at=at, expires_at=expires_at)
    for number, customer_id in enumerate(customers[:6]):
        at = now - timedelta(days=3 * number + 1)
        currency = "eur" if number == 4 else "usd"
        buy(session, customer_id, 500, 1_900 - 100 * number, currency=currency, at=at)
    buy(session, customers[0], 120, 600, at=now - timedelta(days=38), expires_at=now - timedelta(days=8))
    half = buy(session, customers[1], 1_000, 3_000, at=now - timedelta(days=20))
    give_back(session, half, 1_500, at=now - timedelta(days=5))
