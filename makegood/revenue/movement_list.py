"""The changes of MRR, customer by customer, newest first: the rows behind the movements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, literal, select, true
from sqlalchemy.orm import aliased

from makegood.models import MrrChange, MrrSnapshot, StripeCustomer
from makegood.pages import Listing

NO_LONGER_KNOWN = "what it is worth cannot be told since then"
UNSURE = "what a part of it is worth cannot be told, or could not be"
KNOWN_AGAIN = "what it is worth can be told again"
OTHER_RULES = "first snapshot under other rules"
FIRST = "first snapshot: what was before nobody knows"
NOT_IN_THE_ESTIMATE = (
    "first reading after the estimate: no paid invoice is of the day before, as of who began this day"
)
NOT_COUNTED = (
    "first reading after the estimate: paid for, but not counted, as of who is to be cancelled at the end"
)
OTHER_AMOUNT = "first reading after the estimate: paid invoices came to another amount"
"""Why a change is called restated: by the snapshots that it lies between."""


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
    """What one customer pays a month in one currency, before and after: exact, in minor units. `why` is the reason
    of a change that is restated."""

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
    why: str | None


def _selected() -> Select[*tuple[Any, ...]]:
    earlier = aliased(MrrSnapshot)
    last = (
        select(earlier.estimated, earlier.rules)
        .where(earlier.day < MrrChange.day)
        .order_by(earlier.day.desc())
        .limit(1)
        .lateral("last")
    )
    why = case(
        (MrrChange.kind != "restated", None),
        (last.c.estimated.is_(None), FIRST),
        (last.c.estimated & (MrrChange.before == Fraction(0)), NOT_IN_THE_ESTIMATE),
        (last.c.estimated & (MrrChange.after == Fraction(0)), NOT_COUNTED),
        (last.c.estimated, OTHER_AMOUNT),
        (last.c.rules != MrrSnapshot.rules, OTHER_RULES),
        (MrrChange.after == Fraction(0), NO_LONGER_KNOWN),
        (MrrChange.before == Fraction(0), KNOWN_AGAIN),
        else_=UNSURE,
    )
    return (
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
            why.label("why"),
        )
        .join(MrrSnapshot, MrrSnapshot.day == MrrChange.day)
        .outerjoin(last, true())
        .outerjoin(StripeCustomer, StripeCustomer.id == MrrChange.stripe_customer_id)
    )


def _having(filters: MovementFilters) -> Iterator[ColumnElement[bool]]:
    if filters.customer is not None:
        linked = select(StripeCustomer.id).where(StripeCustomer.customer_id == filters.customer)
        yield MrrChange.stripe_customer_id.in_(linked.union(select(literal(filters.customer))))


MOVEMENTS: Listing[MovementFilters, ListedMovement] = Listing(
    _selected(),
    ListedMovement,
    at=MrrChange.at,
    id=MrrChange.id,
    equal={"kind": MrrChange.kind, "currency": MrrChange.currency},
    having=_having,
)
"""By when they were found."""
