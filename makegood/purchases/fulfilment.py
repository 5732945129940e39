"""Crediting what was paid for: once for each paid checkout session and for each paid invoice of a subscription.

A checkout session counts when it is paid or has nothing to pay (a coupon of 100 %); an invoice when money was paid
for it and it began or renewed a subscription: a trial or an invoice of 0 grants nothing, a yearly plan everything
at once. What a link by weaker means would decide waits an hour for the objects that could say it better.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, or_, select, text
from sqlalchemy.orm import Session

from makegood.ids import uuid7
from makegood.models import (
    Charge,
    CheckoutSession,
    Invoice,
    InvoicePayment,
    Product,
    Purchase,
    StripeAccount,
    StripeCustomer,
    Subscription,
)
from makegood.purchases import contents
from makegood.purchases.families import Family
from makegood.terms import Terms

PAID = ("paid", "no_payment_required")
REASONS = ("subscription_create", "subscription_cycle")
PATIENCE = timedelta(hours=1)
NOBODYS = "nobody knows whose it is"
RETURNED_CREDITS_LIVE = Terms().returned_credits_live

SELL = text(
    "SELECT sell_credits(:purchase, :grant, :transaction, :customer, :linked_by, :kind, :source, :credits, :ends, "
    ":currency, :amount, :paid, :paid_at, 'stripe', :reason, :at)"
)


@dataclass(frozen=True)
class Source:
    """A paid business object that has not been credited."""

    kind: str
    row: CheckoutSession | Invoice
    paid_at: datetime
    bought: contents.Bought

    @property
    def paid(self) -> int:
        """What was paid, in the minor unit of its currency."""
        row = self.row
        return (row.amount_total or 0) if isinstance(row, CheckoutSession) else row.amount_paid


def due(session: Session, resource: str, ids: Sequence[str], family: Family) -> list[Source]:
    """What is to be credited among these objects and what belongs to them."""
    if resource == "products":
        return [one for one in waiting(session) if contents.product_ids(one.row.body) & set(ids)]
    sources = set(family.sources()) | set(ids)
    return waiting(session, sources) if resource not in ("refunds", "disputes") else []


def waiting(session: Session, ids: Iterable[str] | None = None) -> list[Source]:
    """Paid objects that grant credits, or may, and have granted none; all of them, or those of these ids."""
    since = session.scalar(select(StripeAccount.grants_since))
    if since is None:
        return []
    wanted = None if ids is None else list(ids)
    rows: list[tuple[str, Any, datetime]] = []
    for kind, table, condition, paid_at in (
        ("checkout_session", CheckoutSession, paid_sessions(since), CheckoutSession.created_at),
        ("invoice", Invoice, paid_invoices(since), Invoice.paid_at),
    ):
        query = select(table).where(condition, not_credited(kind, table)).order_by(paid_at, table.id)
        if wanted is not None:
            query = query.where(table.id.in_(wanted))
        found = session.scalars(query, execution_options={"populate_existing": True})
        rows += [(kind, row, getattr(row, paid_at.key)) for row in found]
    products = _products(session, [row for _, row, _ in rows])
    made = [Source(kind, row, at, _bought(row, products)) for kind, row, at in rows]
    return [one for one in made if one.bought.problem or one.bought.credits]


def paid_sessions(since: datetime) -> ColumnElement[bool]:
    """The checkout sessions that count, of those that were begun since then."""
    return and_(
        CheckoutSession.mode == "payment",
        CheckoutSession.payment_status.in_(PAID),
        CheckoutSession.status.is_distinct_from("open"),
        CheckoutSession.created_at >= since,
    )


def paid_invoices(since: datetime) -> ColumnElement[bool]:
    """The invoices that count, of those that were paid since then."""
    return and_(
        Invoice.status == "paid",
        Invoice.billing_reason.in_(REASONS),
        Invoice.amount_paid > 0,
        Invoice.paid_at >= since,
    )


def not_credited(kind: str, table: Any) -> ColumnElement[bool]:
    """No purchase was made of it."""
    return ~exists().where(Purchase.source_kind == kind, Purchase.source_id == table.id)


def problem(session: Session, source: Source, at: datetime) -> str | None:
    """Why a source cannot be credited now, in words; None if it can."""
    if source.bought.problem is not None:
        return source.bought.problem
    if source.row.customer_id is None:
        return NOBODYS
    if at - source.paid_at < PATIENCE and _could_be_told_better(session, source.row):
        return "what could say better whose it is has not been read"
    return None


def sell(session: Session, source: Source, *, at: datetime) -> bool:
    """Credit it, unless that cannot be done now or was done. Whether credits were given. Locks the balance."""
    bought, row = source.bought, source.row
    if problem(session, source, at) is not None:
        return False
    ends = bought.ends if bought.ends is None or bought.ends > at else at + RETURNED_CREDITS_LIVE
    values = {
        "purchase": uuid7(),
        "grant": uuid7(),
        "transaction": uuid7(),
        "customer": row.customer_id,
        "linked_by": row.linked_by,
        "kind": source.kind,
        "source": row.id,
        "credits": bought.credits,
        "ends": ends,
        "currency": row.currency,
        "amount": bought.amount,
        "paid": bought.paid,
        "paid_at": source.paid_at,
        "reason": f"{'checkout' if source.kind == 'checkout_session' else 'invoice'} {row.id}",
        "at": at,
    }
    return bool(session.scalar(SELL, values))


def _bought(row: CheckoutSession | Invoice, products: dict[str, Product]) -> contents.Bought:
    if isinstance(row, CheckoutSession):
        return contents.of_session(row, products)
    return contents.of_invoice(row, products)


def _products(session: Session, rows: Sequence[CheckoutSession | Invoice]) -> dict[str, Product]:
    wanted = {one for row in rows for one in contents.product_ids(row.body)}
    if not wanted:
        return {}
    found = session.scalars(
        select(Product).where(Product.id.in_(wanted)), execution_options={"populate_existing": True}
    )
    return {one.id: one for one in found}


def _could_be_told_better(session: Session, row: CheckoutSession | Invoice) -> bool:
    """Whether something that would decide before what linked it is named but not stored."""
    if row.linked_by in ("charge", "operator"):
        return False
    if isinstance(row, CheckoutSession):
        if row.payment_intent is not None:
            charged = select(Charge.id).where(Charge.payment_intent == row.payment_intent)
            if session.scalar(charged.limit(1)) is None:
                return True
    else:
        same = or_(Charge.payment_intent == InvoicePayment.payment_intent, Charge.id == InvoicePayment.charge_id)
        charged = select(Charge.id).join(InvoicePayment, same).where(InvoicePayment.invoice_id == row.id)
        if session.scalar(charged.limit(1)) is None:
            return True
        subscription_id = None if row.linked_by == "subscription" else row.subscription_id
        if subscription_id is not None and session.get(Subscription, subscription_id) is None:
            return True
    owner = row.stripe_customer_id
    return row.linked_by == "email" and owner is not None and session.get(StripeCustomer, owner) is None
