"""The customers list: found by the beginning of an id or an e-mail address, by tier, balance and debt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, false, func, or_, select

from makegood.models import Balance, Customer, Purchase
from makegood.pages import Listing

NEWEST, BALANCE = "newest", "balance"
DEBT = Purchase.owed > 0
OF_BALANCE: dict[str, ColumnElement[bool]] = {
    "some": Balance.balance > 0,
    "none": Balance.balance == 0,
    "owes": Customer.id.in_(select(Purchase.customer_id).where(DEBT)),
}
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
    """A customer in the list: credits now, how many they owe (they had spent them when their money went back), and
    the day (reporting time zone) of the last charge."""

    customer_id: str
    email: str | None
    tier: str
    balance: int
    owed: int
    created_at: datetime
    last_charged_day: date | None


def begins_with(column: ColumnElement[str], beginning: str) -> ColumnElement[bool]:
    """Whether a text begins so, as an index with `text_pattern_ops` finds it in a prepared statement too."""
    beyond = beginning + LAST_CHARACTER
    return column.op("~>=~", is_comparison=True)(beginning) & column.op("~<~", is_comparison=True)(beyond)


def _having(filters: CustomerFilters) -> Iterator[ColumnElement[bool]]:
    if filters.beginning is not None:
        address = begins_with(func.lower(Customer.email), filters.beginning.lower())
        yield or_(begins_with(Customer.id.expression, filters.beginning), address)
    if filters.balance is not None:
        yield OF_BALANCE.get(filters.balance, false())


CUSTOMERS: Listing[CustomerFilters, ListedCustomer] = Listing(
    select(
        Customer.id,
        Customer.email,
        Customer.tier,
        Balance.balance,
        select(func.coalesce(func.sum(Purchase.owed), 0))
        .where(Purchase.customer_id == Customer.id, DEBT)
        .correlate(Customer)
        .scalar_subquery()
        .label("owed"),
        Customer.created_at,
        Balance.last_charged_day,
    ).join(Balance, Balance.customer_id == Customer.id),
    ListedCustomer,
    at=Customer.created_at,
    id=Customer.id,
    equal={"tier": Customer.tier},
    having=_having,
    key=lambda filters: Balance.balance if filters.order == BALANCE else Customer.created_at,
)
"""By when they became customers, or by their balance."""
