"""Crediting what was paid for: once for each paid checkout session and for each paid invoice of a subscription.

A checkout session counts when it is paid or has nothing to pay (a coupon of 100 %); an invoice when money was paid
for it and it began or renewed a subscription: a trial or an invoice of 0 grants nothing, a yearly plan everything
at once. What a link by weaker means would decide waits an hour for the objects that could say it better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Text, and_, bindparam, exists, func, or_, select, text
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


def candidates(
    session: Session, products: Sequence[str] | None = None, among: Sequence[str] | None = None
) -> dict[str, list[str]]:
    """The ids of what is paid and has granted nothing, by its list, the oldest first: where a line is of a product
    that sells credits, or of one of these `products`, or could not be read. `among` are the only ids to look at.

    Bodies stay in the database: shops sell more than credits.
    """
    since = session.scalar(select(StripeAccount.grants_since))
    if since is None:
        return {}
    session.flush()
    found = {}
    for resource, kind, lines in (
        ("checkout_sessions", "checkout_session", contents.LINES_OF_SESSION),
        ("invoices", "invoice", contents.LINES_OF_INVOICE),
    ):
        table, condition, paid_at = _kinds(since)[kind]
        paid = select(table.id, table.body, paid_at.label("paid_at")).where(condition, not_credited(kind, table))
        if among is not None:
            paid = paid.where(table.id == func.any(bindparam("among", list(among), type_=ARRAY(Text))))
        # OFFSET 0: without it, PostgreSQL looks into all bodies before it leaves out what is credited.
        left = paid.offset(0).subquery(table.__tablename__)
        values = {"some": products is not None, "products": list(products or ())}
        query = select(left.c.id).where(text(lines)).order_by(left.c.paid_at, left.c.id)
        found[resource] = list(session.scalars(query, values))
    return found


def linked(session: Session, found: Mapping[str, Sequence[str]]) -> list[str]:
    """Those of these candidates that are somebody's, in the same order."""
    theirs: set[str] = set()
    for table in (CheckoutSession, Invoice):
        ids = found.get(table.__tablename__.removeprefix("stripe_"), ())
        theirs.update(session.scalars(select(table.id).where(table.id.in_(ids), table.customer_id.is_not(None))))
    return [one for ids in found.values() for one in ids if one in theirs]


def waiting(session: Session, ids: Iterable[str] | None = None) -> list[Source]:
    """Paid objects that grant credits, or may, and have granted none; all of them, or those of these ids."""
    since = session.scalar(select(StripeAccount.grants_since))
    if since is None:
        return []
    wanted = [one for found in candidates(session).values() for one in found] if ids is None else list(ids)
    if not wanted:
        return []
    rows: list[tuple[str, Any, datetime]] = []
    for kind, (table, condition, paid_at) in _kinds(since).items():
        query = select(table, paid_at).where(table.id.in_(wanted), condition, not_credited(kind, table))
        found = session.execute(query.order_by(paid_at, table.id), execution_options={"populate_existing": True})
        rows += [(kind, row, at) for row, at in found]
    products = _products(session, [row for _, row, _ in rows])
    made = [Source(kind, row, at, _bought(row, products)) for kind, row, at in rows]
    return [one for one in made if one.bought.problem or one.bought.credits]


def _kinds(since: datetime) -> dict[str, tuple[Any, ColumnElement[bool], Any]]:
    """By its kind: the table of a source, which of its rows count, and when they were paid."""
    return {
        "checkout_session": (CheckoutSession, paid_sessions(since), session_paid_at()),
        "invoice": (Invoice, paid_invoices(since), Invoice.paid_at),
    }


def session_paid_at() -> ColumnElement[datetime]:
    """When a checkout session was paid: when its charge was made. It may have begun a day before, or longer. Where
    there is no charge, or it has not been read, when it was begun."""
    # A filter, not a condition: PostgreSQL would walk all charges by their time to find the first.
    charged = (
        select(func.min(Charge.created_at).filter(Charge.amount_captured > 0))
        .where(Charge.payment_intent == CheckoutSession.payment_intent)
        .correlate(CheckoutSession)
        .scalar_subquery()
    )
    return func.coalesce(charged, CheckoutSession.created_at)


def paid_sessions(since: datetime) -> ColumnElement[bool]:
    """The checkout sessions that count, of those that were paid since then."""
    return and_(
        CheckoutSession.mode == "payment",
        CheckoutSession.payment_status.in_(PAID),
        CheckoutSession.status.is_distinct_from("open"),
        or_(CheckoutSession.created_at >= since, session_paid_at() >= since),  # nothing is paid before it begins
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


def sell(session: Session, source: Source, lifetime: timedelta, *, at: datetime) -> bool:
    """Credit it, unless that cannot be done now or was done. Whether credits were given. Locks the balance.

    `lifetime` is how long credits live whose period is over.
    """
    bought, row = source.bought, source.row
    if problem(session, source, at) is not None:
        return False
    ends = bought.ends if bought.ends is None or bought.ends > at else at + lifetime
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
