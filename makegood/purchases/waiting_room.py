"""Stripe's customers and guests of whom nobody could tell who they are here, and operators who can."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Subquery, exists, func, literal, select, union_all
from sqlalchemy.orm import Session

from makegood import audit, purchases
from makegood.errors import Conflict, Invalid, NotFound
from makegood.models import Charge, CheckoutSession, Customer, Invoice, Purchase, StripeCustomer, Subscription
from makegood.pages import Listing
from makegood.purchases import fulfilment, linking
from makegood.purchases.fulfilment import RETURNED_CREDITS_LIVE

CUSTOMER, PAYMENT, CHECKOUT = "customer", "payment", "checkout"
TABLES: dict[str, tuple[Any, str]] = {
    CUSTOMER: (StripeCustomer, "customers"),
    PAYMENT: (Charge, "charges"),
    CHECKOUT: (CheckoutSession, "checkout_sessions"),
}
"""What can be linked: a customer of Stripe's, a guest's payment, and a guest's checkout with nothing to pay."""


@dataclass(frozen=True)
class Unlinked:
    """Something of TABLES that is nobody's here. `user_id` is whom it names, if anybody.

    `payments` are its successful ones; `amount` and `currency` are a guest's.
    """

    kind: str
    id: str
    email: str | None
    user_id: str | None
    payments: int
    amount: int | None
    currency: str | None
    created_at: datetime


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


@dataclass(frozen=True)
class UnlinkedFilters:
    """What to list; None is no restriction. `email` is compared in any case."""

    kind: str | None = None
    email: str | None = None


def _unlinked() -> Subquery:
    succeeded = (Charge.status == "succeeded") & (Charge.amount_captured > 0)
    payments = (
        select(func.count())
        .select_from(Charge)
        .where(Charge.stripe_customer_id == StripeCustomer.id, succeeded)
        .correlate(StripeCustomer)
        .scalar_subquery()
    )
    bought = [
        exists().where(table.stripe_customer_id == StripeCustomer.id)
        for table in (Charge, Invoice, Subscription, CheckoutSession)
    ]
    owners = select(
        literal(CUSTOMER).label("kind"),
        StripeCustomer.id.label("id"),
        StripeCustomer.email.label("email"),
        StripeCustomer.user_id.label("user_id"),
        payments.label("payments"),
        literal(None).label("amount"),
        literal(None).label("currency"),
        StripeCustomer.created_at.label("created_at"),
    ).where(StripeCustomer.customer_id.is_(None), bought[0] | bought[1] | bought[2] | bought[3])
    guests = select(
        literal(PAYMENT),
        Charge.id,
        Charge.email,
        Charge.user_id,
        literal(1),
        Charge.amount,
        Charge.currency,
        Charge.created_at,
    ).where(Charge.stripe_customer_id.is_(None), Charge.customer_id.is_(None), succeeded)
    free = select(
        literal(CHECKOUT),
        CheckoutSession.id,
        CheckoutSession.email,
        CheckoutSession.client_reference_id,
        literal(0),
        CheckoutSession.amount_total,
        CheckoutSession.currency,
        CheckoutSession.created_at,
    ).where(
        CheckoutSession.stripe_customer_id.is_(None),
        CheckoutSession.customer_id.is_(None),
        CheckoutSession.payment_status == "no_payment_required",
        CheckoutSession.mode == "payment",
    )
    return union_all(owners, guests, free).subquery()


_ROWS = _unlinked()
UNLINKED: Listing[UnlinkedFilters, Unlinked] = Listing(
    select(_ROWS),
    Unlinked,
    at=_ROWS.c.created_at,
    id=_ROWS.c.id,
    equal={"kind": _ROWS.c.kind},
    having=lambda filters: (
        [func.lower(_ROWS.c.email) == filters.email.lower()] if filters.email is not None else []
    ),
)
"""By when they came to be. Customers of Stripe's who never bought anything are not listed."""


def count(session: Session) -> int:
    """How many there are."""
    return session.scalar(select(func.count()).select_from(_ROWS)) or 0


def get(session: Session, kind: str, object_id: str) -> Unlinked:
    """One of them. Raises NotFound if there is none, or if it is linked by now."""
    row = session.execute(select(_ROWS).where(_ROWS.c.kind == kind, _ROWS.c.id == object_id)).first()
    if row is None:
        raise NotFound("There is nothing to link here: it is linked by now, or it does not exist.")
    return Unlinked(*row)


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
