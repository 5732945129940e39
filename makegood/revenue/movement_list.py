"""The changes of MRR, customer by customer, newest first: the rows behind the movements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from makegood import pages
from makegood.models import MrrChange, MrrSnapshot, StripeCustomer
from makegood.pages import Cursor, Page


@dataclass(frozen=True)
class MovementFilters:
    """What to list; None is no restriction. `customer` is our id or Stripe's. [start, end) is when the change was
    found; an estimated one was found at the end of its day."""

    kind: str | None = None
    currency: str | None = None
    customer: str | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True)
class ListedMovement:
    """What one customer pays a month in one currency, before and after: exact, in minor units."""

    id: UUID
    day: date
    at: datetime
    stripe_customer_id: str
    customer_id: str | None
    email: str | None
    livemode: bool
    currency: str
    kind: str
    before: Fraction
    after: Fraction
    estimated: bool


def listed(
    session: Session,
    filters: MovementFilters,
    *,
    before: Cursor | None = None,
    after: Cursor | None = None,
    limit: int = pages.SIZE,
) -> Page[ListedMovement]:
    """One page of changes, by when they were found."""
    return pages.read(
        session,
        _selected(filters),
        MrrChange.at.expression,
        MrrChange.id.expression,
        lambda row: ListedMovement(**row._mapping),
        lambda row: Cursor(row.at, row.id),
        before=before,
        after=after,
        limit=limit,
    )


def every(filters: MovementFilters) -> Select[*tuple[Any, ...]]:
    """All of them, newest first."""
    return _selected(filters).order_by(MrrChange.at.desc(), MrrChange.id.desc())


def _selected(filters: MovementFilters) -> Select[*tuple[Any, ...]]:
    query = (
        select(
            MrrChange.id,
            MrrChange.day,
            MrrChange.at,
            MrrChange.stripe_customer_id,
            StripeCustomer.customer_id,
            StripeCustomer.email,
            StripeCustomer.livemode.is_(True).label("livemode"),
            MrrChange.currency,
            MrrChange.kind,
            MrrChange.before,
            MrrChange.after,
            MrrSnapshot.estimated,
        )
        .join(MrrSnapshot, MrrSnapshot.day == MrrChange.day)
        .outerjoin(StripeCustomer, StripeCustomer.id == MrrChange.stripe_customer_id)
    )
    if filters.customer is not None:
        mine = (StripeCustomer.customer_id, MrrChange.stripe_customer_id)
        query = query.where(or_(*(column == filters.customer for column in mine)))
    equal = {MrrChange.kind: filters.kind, MrrChange.currency: filters.currency}
    return pages.narrowed(query, equal, MrrChange.at, filters.start, filters.end)
