"""The waiting room: Stripe's customers and guests of whom nobody could tell who they are here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Subquery, exists, func, literal, select, union_all
from sqlalchemy.orm import Session

from makegood.errors import NotFound
from makegood.models import Charge, CheckoutSession, Invoice, StripeCustomer, Subscription
from makegood.pages import Listing

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
