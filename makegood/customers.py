"""Customers: who they are and in which tier."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood import grants, ledger
from makegood.errors import Invalid, NotFound
from makegood.models import Balance, Customer, Event, Tier


def get(session: Session, customer_id: str) -> Customer:
    """The customer. Raises NotFound."""
    customer = session.get(Customer, customer_id)
    if customer is None:
        raise NotFound(f"There is no customer {customer_id!r}.")
    return customer


def upsert(
    session: Session,
    customer_id: str,
    *,
    email: str | None,
    tier: str,
    timezone: ZoneInfo,
    at: datetime | None = None,
) -> Customer:
    """Create the customer with a balance and this month's allowance, or change e-mail address and tier.

    A new tier's allowance begins with the next month, or now where this month has had none. Raises Invalid for
    a tier that does not exist.
    """
    at = at or datetime.now(UTC)
    if session.get(Tier, tier) is None:
        known = ", ".join(session.scalars(select(Tier.name).order_by(Tier.position)))
        raise Invalid("The customer is not valid.", fields={"tier": f"must be one of {known}"})
    row = insert(Customer).values(id=customer_id, email=email, tier=tier, created_at=at, updated_at=at)
    if session.execute(row.on_conflict_do_nothing().returning(Customer.id)).first():
        session.execute(insert(Balance).values(customer_id=customer_id))
        session.add(Event(at=at, type="customer", customer_id=customer_id, tier=tier, customers=1))
        session.flush()
        grants.give_allowance(session, customer_id, timezone=timezone, at=at)
        return session.get_one(Customer, customer_id)
    return _change(session, customer_id, email, tier, at)


def _change(session: Session, customer_id: str, email: str | None, tier: str, at: datetime) -> Customer:
    # The balance's lock orders this with the ledger rows, whose events name the tier.
    balance = ledger.lock(session, customer_id, at)
    customer = session.get_one(Customer, customer_id, populate_existing=True)
    if customer.tier != tier:
        moved = {"customers": 1, "holders": int(balance > 0), "credits": balance}
        for name, sign in ((customer.tier, -1), (tier, 1)):
            amounts = {measure: sign * amount for measure, amount in moved.items()}
            session.add(Event(at=at, type="tier", customer_id=customer_id, tier=name, **amounts))
    customer.email, customer.tier, customer.updated_at = email, tier, at
    session.flush()
    return customer
