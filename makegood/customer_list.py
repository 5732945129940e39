"""The customers list: found by the beginning of an id or an e-mail address, by tier and by balance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, false, func, or_, select, tuple_
from sqlalchemy.orm import Session

from makegood import pages
from makegood.models import Balance, Customer
from makegood.pages import EPOCH, MICROSECOND

NEWEST, BALANCE = "newest", "balance"
OF_BALANCE = {"some": Balance.balance > 0, "none": Balance.balance == 0}
LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True)
class CustomerFilters:
    """What to list; None is no restriction. `beginning` is that of the id or, in any case, of the e-mail
    address. [start, end) is when they became customers. `order` is NEWEST, or BALANCE: the highest first."""

    beginning: str | None = None
    tier: str | None = None
    balance: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    order: str = NEWEST


@dataclass(frozen=True)
class ListedCustomer:
    """A customer in the list: credits now, and the day (reporting time zone) of the last charge."""

    customer_id: str
    email: str | None
    tier: str
    balance: int
    created_at: datetime
    last_charged_day: date | None


@dataclass(frozen=True)
class Place:
    """A place in the order: microseconds since 1970 or credits, and the customer's id. As text for a URL."""

    value: int
    customer_id: str

    def __str__(self) -> str:
        return f"{self.value}-{self.customer_id}"

    @classmethod
    def parse(cls, text: str | None) -> Place | None:
        """The place that a URL carries; None for anything that is none."""
        value, separator, customer_id = (text or "").partition("-")
        digits = value.isascii() and value.isdigit() and len(value) <= 17
        if not (separator and digits and 1 <= len(customer_id) <= 200) or "\0" in customer_id:
            return None
        return cls(int(value), customer_id)


@dataclass(frozen=True)
class CustomerPage:
    """Customers; `older` and `newer` are set when there may be more further down and further up. `first` is where
    the first one is."""

    rows: list[ListedCustomer]
    older: Place | None = None
    newer: Place | None = None
    first: Place | None = None


COLUMNS = (
    Customer.id,
    Customer.email,
    Customer.tier,
    Balance.balance,
    Customer.created_at,
    Balance.last_charged_day,
)


def listed(
    session: Session,
    filters: CustomerFilters,
    *,
    before: Place | None = None,
    after: Place | None = None,
    limit: int = pages.SIZE,
) -> CustomerPage:
    """One page of customers in the order of the filters: behind `before`, or in front of `after`."""
    key = _key(filters)
    order = tuple_(*key)
    query = _selected(filters)
    upwards = after is not None and before is None
    if upwards and after is not None:
        query = query.where(order > _at(filters, after)).order_by(*key)
    else:
        if before is not None:
            query = query.where(order < _at(filters, before))
        query = query.order_by(*(column.desc() for column in key))
    found = [ListedCustomer(*row) for row in session.execute(query.limit(limit + 1))]
    more, rows = len(found) > limit, found[:limit]
    if upwards:
        rows.reverse()
    if not rows:
        return CustomerPage([])
    first, last = _place(filters, rows[0]), _place(filters, rows[-1])
    return CustomerPage(
        rows,
        older=last if upwards or more else None,
        newer=first if (more if upwards else before is not None) else None,
        first=first,
    )


def every(filters: CustomerFilters) -> Select[*tuple[Any, ...]]:
    """All of them, in that order."""
    return _selected(filters).order_by(*(column.desc() for column in _key(filters)))


def begins_with(column: ColumnElement[str], beginning: str) -> ColumnElement[bool]:
    """Whether a text begins so, as an index with `text_pattern_ops` finds it in a prepared statement too."""
    beyond = beginning + LAST_CHARACTER
    return column.op("~>=~", is_comparison=True)(beginning) & column.op("~<~", is_comparison=True)(beyond)


def _key(filters: CustomerFilters) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    by_balance = filters.order == BALANCE
    return (Balance.balance if by_balance else Customer.created_at).expression, Customer.id.expression


def _place(filters: CustomerFilters, row: ListedCustomer) -> Place:
    by_balance = filters.order == BALANCE
    return Place(row.balance if by_balance else (row.created_at - EPOCH) // MICROSECOND, row.customer_id)


def _at(filters: CustomerFilters, place: Place) -> ColumnElement[Any]:
    value = place.value if filters.order == BALANCE else EPOCH + timedelta(microseconds=place.value)
    return tuple_(value, place.customer_id)


def _selected(filters: CustomerFilters) -> Select[*tuple[Any, ...]]:
    query = select(*COLUMNS).join(Balance, Balance.customer_id == Customer.id)
    if filters.beginning is not None:
        address = begins_with(func.lower(Customer.email), filters.beginning.lower())
        query = query.where(or_(begins_with(Customer.id.expression, filters.beginning), address))
    if filters.balance is not None:
        query = query.where(OF_BALANCE.get(filters.balance, false()))
    return pages.narrowed(query, {Customer.tier: filters.tier}, Customer.created_at, filters.start, filters.end)
