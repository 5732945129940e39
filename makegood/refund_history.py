"""The refund history: every refund that was issued, newest first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from makegood import pages
from makegood.models import Generation, Refund, Reversal
from makegood.pages import Cursor, Page
from makegood.ranges import within
from makegood.stats import refunds as figures
from makegood.terms import Terms

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class RefundFilters:
    """What to list; None is no restriction. The instants are half open: [start, end).

    `standing` leaves out refunds that were reversed, or (False) leaves only those.
    """

    provider: str | None = None
    reason: str | None = None
    customer_id: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    model: str | None = None
    origin: str | None = None
    standing: bool | None = None


@dataclass(frozen=True)
class LoggedRefund:
    """A refund: credits returned of those charged for its generation, why, and by whom; when it was reversed."""

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


COLUMNS = (
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
)


def history(
    session: Session,
    filters: RefundFilters,
    *,
    before: Cursor | None = None,
    after: Cursor | None = None,
    limit: int = pages.SIZE,
) -> Page[LoggedRefund]:
    """One page of refunds, by the time when they were issued."""
    return pages.read(
        session,
        _selected(filters),
        Refund.issued_at.expression,
        Refund.id.expression,
        lambda row: LoggedRefund(*row),
        lambda refund: Cursor(refund.issued_at, refund.refund_id),
        before=before,
        after=after,
        limit=limit,
    )


@dataclass(frozen=True)
class Total:
    """So many refunds, and the credits that they returned. Reversed ones are counted only where they were asked
    for."""

    refunds: int
    credits: int


def total(session: Session, filters: RefundFilters, terms: Terms) -> Total:
    """The sum of what the filters name: of one customer and of what was reversed from the rows, else from the
    rollups, so that it costs the same however many there are."""
    if filters.customer_id is None and filters.standing is not False:
        return _of_rollups(session, filters, terms)
    wanted = replace(filters, standing=filters.standing is not False)
    rows = _selected(wanted).subquery()
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


def every(filters: RefundFilters) -> Select[*tuple[Any, ...]]:
    """All of them, newest first."""
    return _selected(filters).order_by(Refund.issued_at.desc(), Refund.id.desc())


def _selected(filters: RefundFilters) -> Select[*tuple[Any, ...]]:
    query = (
        select(*COLUMNS)
        .join(Generation, Generation.id == Refund.generation_id)
        .outerjoin(Reversal, (Reversal.refund_id == Refund.id) & (Reversal.customer_id == Refund.customer_id))
    )
    if filters.standing is not None:
        query = query.where(Reversal.id.is_(None) if filters.standing else Reversal.id.is_not(None))
    equal = {
        Refund.provider: filters.provider,
        Refund.reason: filters.reason,
        Refund.customer_id: filters.customer_id,
        Refund.model: filters.model,
        Refund.origin: filters.origin,
    }
    return pages.narrowed(query, equal, Refund.issued_at, filters.start, filters.end)
