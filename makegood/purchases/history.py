"""Purchases as operators see them: every one, newest first, and one with what was taken back of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from makegood import pages
from makegood.errors import NotFound
from makegood.models import Clawback, CreditTransaction, Grant, Purchase
from makegood.pages import Cursor, Page

KINDS = {"checkout_session": "Checkout", "invoice": "Invoice"}
STATES: dict[str, ColumnElement[bool]] = {
    "kept": Purchase.returned == 0,
    "returned_in_part": (Purchase.returned > 0) & (Purchase.returned < Purchase.paid),
    "returned": (Purchase.paid > 0) & (Purchase.returned == Purchase.paid),
    "owed": Purchase.owed > 0,
}
"""What became of the money: all kept, a part or all of it went back; and credits that are owed."""


@dataclass(frozen=True)
class PurchaseFilters:
    """What to list; None is no restriction. The instants are half open: [start, end), of the payment."""

    kind: str | None = None
    state: str | None = None
    customer_id: str | None = None
    source_id: str | None = None
    currency: str | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class LoggedPurchase:
    """In the list. Amounts are in the minor unit of `currency`; of its grant `left` credits are there."""

    id: UUID
    customer_id: str
    linked_by: str
    source_kind: str
    source_id: str
    credits: int
    currency: str
    amount: int
    paid: int
    returned: int
    clawed: int
    owed: int
    gone: int
    left: int
    expires_at: datetime | None
    paid_at: datetime
    granted_at: datetime


COLUMNS = (
    Purchase.id,
    Purchase.customer_id,
    Purchase.linked_by,
    Purchase.source_kind,
    Purchase.source_id,
    Purchase.credits,
    Purchase.currency,
    Purchase.amount,
    Purchase.paid,
    Purchase.returned,
    Purchase.clawed,
    Purchase.owed,
    Purchase.gone,
    Grant.remaining.label("left"),
    Grant.expires_at,
    Purchase.paid_at,
    Purchase.granted_at,
)


@dataclass(frozen=True)
class Detail:
    """One purchase, its grant, and what was taken back or restored, newest first, each with its ledger entry."""

    purchase: Purchase
    grant: Grant
    clawbacks: list[tuple[Clawback, int | None]]


def listed(
    session: Session,
    filters: PurchaseFilters,
    *,
    before: Cursor | None = None,
    after: Cursor | None = None,
    limit: int = pages.SIZE,
) -> Page[LoggedPurchase]:
    """One page of purchases, by when they were paid."""
    return pages.read(
        session,
        _selected(filters),
        Purchase.paid_at.expression,
        Purchase.id.expression,
        lambda row: LoggedPurchase(*row),
        lambda one: Cursor(one.paid_at, one.id),
        before=before,
        after=after,
        limit=limit,
    )


def every(filters: PurchaseFilters) -> Select[*tuple[Any, ...]]:
    """All of them, newest first."""
    return _selected(filters).order_by(Purchase.paid_at.desc(), Purchase.id.desc())


def read(session: Session, purchase_id: UUID) -> Detail:
    """One purchase. Raises NotFound."""
    purchase = session.get(Purchase, purchase_id, populate_existing=True)
    if purchase is None:
        raise NotFound("There is no such purchase.")
    rows = session.execute(
        select(Clawback, CreditTransaction.entry)
        .outerjoin(CreditTransaction, CreditTransaction.id == Clawback.transaction_id)
        .where(Clawback.purchase_id == purchase_id)
        .order_by(Clawback.number.desc())
    )
    grant = session.get_one(Grant, purchase.grant_id, populate_existing=True)
    return Detail(purchase, grant, [(row[0], row[1]) for row in rows])


def _selected(filters: PurchaseFilters) -> Select[*tuple[Any, ...]]:
    query = select(*COLUMNS).join(Grant, Grant.id == Purchase.grant_id)
    if filters.state in STATES:
        query = query.where(STATES[filters.state])
    equal = {
        Purchase.source_kind: filters.kind,
        Purchase.customer_id: filters.customer_id,
        Purchase.source_id: filters.source_id,
        Purchase.currency: filters.currency,
    }
    return pages.narrowed(query, equal, Purchase.paid_at, filters.start, filters.end)
