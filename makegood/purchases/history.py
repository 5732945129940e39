"""Purchases as operators see them: every one, newest first, and one with what was taken back of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from makegood.errors import NotFound
from makegood.models import Clawback, CreditTransaction, Grant, Purchase
from makegood.pages import Listing

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


@dataclass(frozen=True)
class Detail:
    """One purchase, its grant, and what was taken back or restored, newest first, each with its ledger entry."""

    purchase: Purchase
    grant: Grant
    clawbacks: list[tuple[Clawback, int | None]]


PURCHASES: Listing[PurchaseFilters, LoggedPurchase] = Listing(
    select(
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
    ).join(Grant, Grant.id == Purchase.grant_id),
    LoggedPurchase,
    at=Purchase.paid_at,
    id=Purchase.id,
    equal={
        "kind": Purchase.source_kind,
        "customer_id": Purchase.customer_id,
        "source_id": Purchase.source_id,
        "currency": Purchase.currency,
    },
    having=lambda filters: [STATES[filters.state]] if filters.state in STATES else [],
)
"""By when they were paid."""


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
