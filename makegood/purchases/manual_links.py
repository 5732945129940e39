"""Operators say who somebody of the waiting room is, and what waited for that is credited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from makegood import audit, purchases
from makegood.errors import Conflict, Invalid, NotFound
from makegood.models import Customer, Purchase, StripeCustomer
from makegood.purchases import fulfilment, linking
from makegood.purchases.fulfilment import RETURNED_CREDITS_LIVE
from makegood.purchases.waiting_room import CUSTOMER, TABLES


@dataclass(frozen=True)
class Moved:
    """What a link credits at once. `taken` of the credits are taken back in the same moment: their money has gone
    back since."""

    purchases: int
    credits: int
    taken: int


class AlreadyLinked(Conflict):
    """It belongs to this customer already: nothing moves."""


class Changed(Conflict):
    """A link would credit something else than what was agreed to."""


def preview(
    session: Session,
    kind: str,
    object_id: str,
    customer_id: str,
    *,
    lifetime: timedelta = RETURNED_CREDITS_LIVE,
    at: datetime | None = None,
) -> Moved:
    """What `link` would credit now: it is done and taken back. Raises as `link` does."""
    with session.begin_nested() as trial:
        moved = _link(session, kind, object_id, customer_id, lifetime, at)
        trial.rollback()
    return moved


def link(
    session: Session,
    kind: str,
    object_id: str,
    customer_id: str,
    *,
    actor: str,
    address: str | None = None,
    lifetime: timedelta = RETURNED_CREDITS_LIVE,
    at: datetime | None = None,
    agreed: Moved | None = None,
) -> int:
    """Say whose it is, and credit what waited for that. Returns how many purchases were credited.

    Raises NotFound; Invalid when there is no such customer; Conflict when it was linked to somebody else;
    AlreadyLinked when to this customer; Changed when other credits would move than what was `agreed` to.
    """
    moved = _link(session, kind, object_id, customer_id, lifetime, at)
    if agreed is not None and moved != agreed:
        raise Changed("What waits for this link has changed meanwhile. Nothing was linked: look again.")
    email = session.scalar(select(TABLES[kind][0].email).where(TABLES[kind][0].id == object_id))
    details = {"customer_id": customer_id, "credited": moved.purchases, "credits": moved.credits, "email": email}
    subject = f"stripe-{kind}:{object_id}"
    audit.record(session, actor=actor, action="stripe.linked", subject=subject, details=details, address=address)
    return moved.purchases


def _link(
    session: Session, kind: str, object_id: str, customer_id: str, lifetime: timedelta, at: datetime | None
) -> Moved:
    table, resource = TABLES.get(kind, (StripeCustomer, ""))
    # Locked before the others are kept waiting, as by whoever stores it.
    row: Any = session.get(table, object_id, populate_existing=True, with_for_update={"key_share": True})
    if not resource or row is None or (kind != CUSTOMER and row.stripe_customer_id is not None):
        raise NotFound("There is nothing to link here.")
    purchases.begin(session)
    if session.get(Customer, customer_id) is None:
        raise Invalid("Nothing was linked.", fields={"customer_id": "there is no customer with this id"})
    if row.customer_id == customer_id:
        raise AlreadyLinked(f"It was linked to {customer_id} already. Nothing was changed.")
    if row.customer_id is not None:
        raise Conflict(f"It was linked to {row.customer_id} meanwhile. Nothing was changed.")
    linking.write(session, table, {object_id: (customer_id, "operator")})
    family = linking.link(session, resource, [object_id])
    sources = {object_id, *family.sources()}
    before = _credited(session, customer_id)
    purchases.settle(session, fulfilment.waiting(session, sources), sources, lifetime, at)
    after = _credited(session, customer_id)
    return Moved(*(now - then for now, then in zip(after, before, strict=True)))


def _credited(session: Session, customer_id: str) -> tuple[int, int, int]:
    """A customer's purchases, their credits, and how many of them were taken back or are owed."""
    back = func.sum(Purchase.clawed + Purchase.owed)
    sums = select(func.count(), func.coalesce(func.sum(Purchase.credits), 0), func.coalesce(back, 0))
    count, credits, taken = session.execute(sums.where(Purchase.customer_id == customer_id)).one()
    return count, int(credits), int(taken)
