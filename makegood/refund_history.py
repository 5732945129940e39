"""The refund history: every refund that was issued, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from makegood.models import Approval, BulkRefund, Generation, Refund, Reversal
from makegood.pages import Listing
from makegood.ranges import within
from makegood.stats import refunds as figures
from makegood.terms import Terms

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class RefundFilters:
    """What to list; None is no restriction. The instants are half open: [start, end).

    `reversed` leaves only refunds that were reversed, or (False) leaves those out.
    """

    provider: str | None = None
    reason: str | None = None
    customer_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    model: str | None = None
    origin: str | None = None
    reversed: bool | None = None


@dataclass(frozen=True)
class LoggedRefund:
    """A refund: credits returned of those charged for its generation, why, by whom, and who approved it where a
    second operator had to; when it was reversed."""

    refund_id: UUID
    generation_id: UUID
    customer_id: str
    provider: str
    model: str
    credits: int
    credits_charged: int
    origin: str
    reason: str
    note: str | None
    actor: str
    issued_at: datetime
    bulk_refund_id: UUID | None
    reversed_at: datetime | None
    reversed_by: str | None
    approved_by: str | None


def _having(filters: RefundFilters) -> Iterator[ColumnElement[bool]]:
    if filters.reversed is not None:
        yield Reversal.id.is_not(None) if filters.reversed else Reversal.id.is_(None)


REFUNDS: Listing[RefundFilters, LoggedRefund] = Listing(
    select(
        Refund.id,
        Refund.generation_id,
        Refund.customer_id,
        Refund.provider,
        Refund.model,
        Refund.credits,
        Generation.credits_charged,
        Refund.origin,
        Refund.reason,
        Refund.note,
        Refund.actor,
        Refund.issued_at,
        Refund.bulk_refund_id,
        Reversal.reversed_at,
        Reversal.actor.label("reversed_by"),
        func.coalesce(Approval.decided_by, BulkRefund.approver).label("approved_by"),
    )
    .join(Generation, Generation.id == Refund.generation_id)
    .outerjoin(Reversal, (Reversal.refund_id == Refund.id) & (Reversal.customer_id == Refund.customer_id))
    .outerjoin(Approval, Approval.result_id == Refund.id)
    .outerjoin(BulkRefund, BulkRefund.id == Refund.bulk_refund_id),
    LoggedRefund,
    at=Refund.issued_at,
    id=Refund.id,
    equal={
        "provider": Refund.provider,
        "reason": Refund.reason,
        "customer_id": Refund.customer_id,
        "model": Refund.model,
        "origin": Refund.origin,
    },
    having=_having,
)
"""By when they were issued."""


@dataclass(frozen=True)
class Total:
    """So many refunds, and the credits that they returned. Reversed ones are counted only where they were asked
    for."""

    refunds: int
    credits: int


def total(session: Session, filters: RefundFilters, terms: Terms) -> Total:
    """The sum of what the filters name: of one customer and of what was reversed from the rows, else from the
    rollups, so that it costs the same however many there are."""
    if filters.customer_id is None and not filters.reversed:
        return _of_rollups(session, filters, terms)
    wanted = replace(filters, reversed=bool(filters.reversed))
    rows = REFUNDS.selected(wanted).subquery()
    counted = select(func.count(), func.coalesce(func.sum(rows.c.credits), 0)).select_from(rows)
    refunds, credits = session.execute(counted).one()
    return Total(refunds, int(credits))


def _of_rollups(session: Session, filters: RefundFilters, terms: Terms) -> Total:
    now = datetime.now(UTC)
    start, end = filters.start or BEGINNING, filters.end or now + timedelta(days=1)
    if start >= end:
        return Total(0, 0)
    asked = within(start, end, terms.timezone, now)
    of = figures.RefundFilters(filters.provider, filters.model, filters.reason, filters.origin)
    row = session.execute(figures.by(session, terms, asked, of, ())).one_or_none()
    return Total(row.refunds, row.credits_refunded) if row else Total(0, 0)
