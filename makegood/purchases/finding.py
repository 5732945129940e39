"""Finding what Stripe names by its id there (customers, payments, subscriptions, invoices, checkouts, events), and
who paid with an e-mail address."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, defer

from makegood.hits import Hit
from makegood.models import (
    Charge,
    CheckoutSession,
    Customer,
    Dispute,
    Invoice,
    PaymentRefund,
    Purchase,
    StripeCustomer,
    StripeEvent,
    Subscription,
)
from makegood.purchases import waiting_room
from makegood.purchases.waiting_room import UnlinkedFilters

STRIPES = re.compile(r"[a-z]{2,8}_[A-Za-z0-9_]{1,190}")
NAMED: tuple[tuple[Any, str, Any], ...] = (
    (StripeCustomer, "Stripe customer", StripeCustomer.id),
    (Charge, "payment", Charge.id),
    (Charge, "payment", Charge.payment_intent),
    (Subscription, "subscription", Subscription.id),
    (Invoice, "invoice", Invoice.id),
    (CheckoutSession, "checkout", CheckoutSession.id),
)
"""What belongs to a customer: what it is called, and by which of its ids it is found."""


def find(session: Session, wanted: str) -> list[Hit]:
    """What has exactly this id or e-mail address at Stripe. What was credited leads to its purchase, the rest to
    whose it is, or to whose it could be."""
    if "@" in wanted:
        return _with_email(session, wanted)
    if not STRIPES.fullmatch(wanted):
        return []
    event = session.get(StripeEvent, wanted, options=[defer(StripeEvent.raw)])
    found = [_event(event)] if event is not None else []
    found += [_purchase(row) for row in session.scalars(select(Purchase).where(Purchase.source_id == wanted))]
    for table, kind, column in NAMED:
        query = select(table).where(column == _charge_of(session, wanted)).options(defer(table.body)).limit(5)
        found += [_owned(kind, row) for row in session.scalars(query)]
    return found


def _with_email(session: Session, email: str) -> list[Hit]:
    """Stripe's customers with this address whose customer here has another, and what with it nobody could link."""
    same = func.lower(StripeCustomer.email) == email.lower()
    linked = (
        select(StripeCustomer)
        .join(Customer, Customer.id == StripeCustomer.customer_id)
        .where(same, func.lower(Customer.email).is_distinct_from(email.lower()))
        .options(defer(StripeCustomer.body))
        .limit(5)
    )
    found = [_owned("Stripe customer", row) for row in session.scalars(linked)]
    for row in waiting_room.UNLINKED.page(session, UnlinkedFilters(email=email), limit=5).rows:
        kind = "Stripe customer" if row.kind == waiting_room.CUSTOMER else row.kind
        found.append(Hit(f"{kind} to link", {"email": email}, row.id, email, row.created_at))
    return found


def _charge_of(session: Session, wanted: str) -> str:
    """The charge of a refund or dispute; anything else as it is."""
    for table in (PaymentRefund, Dispute):
        charge_id = session.scalar(select(table.charge_id).where(table.id == wanted))
        if charge_id is not None:
            return charge_id
    return wanted


def _event(row: StripeEvent) -> Hit:
    return Hit("Stripe event", {"event_id": row.id}, row.type, row.state, row.received_at)


def _purchase(row: Purchase) -> Hit:
    note = f"of {row.customer_id}"
    return Hit("purchase", {"purchase_id": row.id}, f"{row.credits} credits", note, row.paid_at)


def _owned(kind: str, row: Any) -> Hit:
    if row.customer_id is not None:
        return Hit(kind, {"customer_id": row.customer_id}, row.id, f"of {row.customer_id}", row.created_at)
    place: dict[str, object] = {}
    if kind in ("Stripe customer", "payment") and row.email:
        place = {"email": row.email}
    return Hit(f"{kind} to link", place, row.id, row.__dict__.get("email") or "nobody knows whose", row.created_at)
