"""What each customer paid, earned us and cost in a range: who pays best, who costs more than they pay, and what
free use costs.

Revenue and Stripe's fees are those of `revenue_by_customer`, the cost is what the generations took. All of it in
US dollars at each day's rate, as in `margin`; what has no rate is null. A customer's profit leaves out the
generations whose cost nobody knows. Who never paid for anything is no payer who costs more than they pay, but in a
group of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Row,
    Select,
    Subquery,
    case,
    cast,
    func,
    literal,
    null,
    select,
    true,
)
from sqlalchemy.orm import Session

from makegood.calendars import start_of
from makegood.models import Customer, Generation
from makegood.ranges import Range
from makegood.revenue import payments, payments_by_customer, reading, revenue_by_customer
from makegood.revenue.liability import sold_since
from makegood.revenue.rates import Converted
from makegood.revenue.results import MEASURES
from makegood.revenue.revenue_by_customer import AMOUNTS
from makegood.stats import customers, usage
from makegood.stats.usage import UsageFilters
from makegood.terms import Terms

LISTED = 50
NOT_KNOWN = cast(null(), BigInteger)
PROFITS = {"recognised": "recognised_profit", "cash": "profit"}
"""The profit on each basis."""
BASES = tuple(PROFITS)
GROUPS = ("payers", "losing", "free")
"""Those who ever paid for anything, of them those who cost more than they paid, and those who never paid."""


@dataclass(frozen=True)
class CustomerMargin:
    """One customer's result, in micro-dollars; None: not known."""

    customer_id: str
    email: str | None
    tier: str
    cash: int | None
    fees: int | None
    recognised: int | None
    cost: int | None
    loss: int
    profit: int | None
    recognised_profit: int | None
    unknown_costs: int
    generations: int


@dataclass(frozen=True)
class Counts:
    """Of all payers of the range, or of all who never paid: how many there are, who left a profit, who cost more
    than they paid, and of whom neither is known, on each basis; and their cost as far as it is known, in
    micro-dollars."""

    customers: int
    profit: dict[str, int]
    losing: dict[str, int]
    unknown: dict[str, int]
    cost: int


@dataclass(frozen=True)
class Customers:
    """The first customers of a group, and the counts. `free_cost` is what those who never paid cost, as far as it
    is known. `unlinked` is the cash of payments that belong to no customer. `unread` says why cash is not known;
    credits are sold here `since` that day."""

    as_of: datetime
    rows: Sequence[CustomerMargin]
    counts: Counts
    free_cost: int
    unlinked: Converted
    unread: str | None
    since: date | None


def report(
    session: Session, terms: Terms, asked: Range, *, basis: str = BASES[0], group: str = GROUPS[0]
) -> Customers:
    """The first LISTED of a group, by the profit on one of BASES. The caller has begun a snapshot."""
    rows = _rows(session, terms, asked, group).cte("rows").prefix_with("MATERIALIZED")
    counts = select(*_counts(rows)).cte("counts")
    listed = _of_group(rows, basis, group).order_by(*_order(rows, basis, group)).limit(LISTED)
    first = _named(listed.subquery("listed")).subquery("first")
    query = select(counts, first).select_from(counts.outerjoin(first, true()))
    lines = list(session.execute(query.order_by(*_order(first, basis, group))))
    counted = _counted(lines[0])
    used = usage.by(session, terms, asked, UsageFilters(), usage.PROVIDER)
    cost = sum(row.cost_micros for row in session.execute(used))
    return Customers(
        asked.now,
        [_customer(line) for line in lines if line.customer_id is not None],
        counted,
        counted.cost if group == "free" else cost - counted.cost,
        payments.unlinked(session, asked),
        reading.unread(reading.of(session), asked),
        sold_since(session, terms),
    )


def every(
    session: Session, terms: Terms, asked: Range, *, basis: str = BASES[0], group: str = GROUPS[0]
) -> Select[*tuple[Any, ...]]:
    """Everybody of a group with anything in the range, in the order of its page."""
    listed = _of_group(_rows(session, terms, asked, group).subquery("rows"), basis, group).subquery("listed")
    return _named(listed).order_by(*_order(listed, basis, group))


def _rows(session: Session, terms: Terms, asked: Range, group: str) -> Select[*tuple[Any, ...]]:
    return (_free if group == "free" else _payers)(session, terms, asked)


def _of_group(rows: FromClause, basis: str, group: str) -> Select[*tuple[Any, ...]]:
    return select(rows).where(rows.c[PROFITS[basis]] < 0) if group == "losing" else select(rows)


def _named(rows: FromClause) -> Select[*tuple[Any, ...]]:
    """With who they are now: of those who are listed alone."""
    return select(rows, Customer.email, Customer.tier).join(Customer, Customer.id == rows.c.customer_id)


def _order(rows: FromClause, basis: str, group: str) -> list[ColumnElement[Any]]:
    """The highest profit first; of those who lose the lowest, of those who never paid what cost most."""
    profit = rows.c[PROFITS[basis]]
    first = {"losing": profit.asc(), "free": rows.c.cost.desc()}.get(group, profit.desc())
    return [first.nulls_last(), rows.c.customer_id]


def _counts(rows: FromClause) -> list[ColumnElement[Any]]:
    """The counts as columns."""
    every_one = func.count()
    columns: dict[str, ColumnElement[Any]] = {"customers": every_one}
    columns["cost"] = cast(func.coalesce(func.sum(rows.c.cost), 0), BigInteger)
    for basis, name in PROFITS.items():
        profit = rows.c[name]
        columns[f"profit_{basis}"] = every_one.filter(profit > 0)
        columns[f"losing_{basis}"] = every_one.filter(profit < 0)
        columns[f"unknown_{basis}"] = every_one.filter(profit.is_(None))
    return [column.label(f"all_{name}") for name, column in columns.items()]


def _counted(line: Row[Any]) -> Counts:
    profit, losing, unknown = (
        {basis: getattr(line, f"all_{name}_{basis}") for basis in BASES}
        for name in ("profit", "losing", "unknown")
    )
    return Counts(line.all_customers, profit, losing, unknown, line.all_cost)


def _payers(session: Session, terms: Terms, asked: Range) -> Select[*tuple[Any, ...]]:
    """A row for each customer who ever paid and has anything in the range, in micro-dollars."""
    due = payments.due(session)
    used = _used(session, terms, asked, due, paying=True)
    paid = revenue_by_customer.each(session, terms, asked, due).subquery("paid")
    known = _known(session, terms, asked)
    money = {
        name: case((paid.c.customer_id.is_(None), 0), else_=paid.c[name]) if known[name] else NOT_KNOWN
        for name in AMOUNTS
    }
    customer_id = func.coalesce(used.c.customer_id, paid.c.customer_id)
    everybody = paid.outerjoin(used, used.c.customer_id == paid.c.customer_id, full=True)
    return select(customer_id.label("customer_id"), *_amounts(used, money)).select_from(everybody)


def _free(session: Session, terms: Terms, asked: Range) -> Select[*tuple[Any, ...]]:
    """The same of each who never paid: they have no revenue."""
    used = _used(session, terms, asked, payments.due(session), paying=False)
    known = _known(session, terms, asked)
    money = {name: literal(0, BigInteger) if known[name] else NOT_KNOWN for name in AMOUNTS}
    return select(used.c.customer_id, *_amounts(used, money))


def _used(session: Session, terms: Terms, asked: Range, due: list[str], *, paying: bool) -> Subquery:
    whom = payments_by_customer.who_paid(session, due)
    return customers.each(session, terms, asked, MEASURES, whom, paying=paying).subquery("used")


def _amounts(used: Subquery, money: Mapping[str, ColumnElement[Any]]) -> list[ColumnElement[Any]]:
    unknown = (used.c.generations > 0) & (used.c.unknown_costs == used.c.generations)
    cost = case((unknown, null()), else_=func.coalesce(used.c.cost_micros, 0))
    amounts = {
        "cash": money["cash"],
        "fees": money["fees"],
        "recognised": money["recognised"],
        "cost": cost,
        "loss": func.coalesce(used.c.loss_micros, 0),
        "profit": money["cash_left"] - cost,
        "recognised_profit": money["recognised_left"] - cost,
        "unknown_costs": func.coalesce(used.c.unknown_costs, 0),
        "generations": func.coalesce(used.c.generations, 0),
    }
    return [amount.label(name) for name, amount in amounts.items()]


def _known(session: Session, terms: Terms, asked: Range) -> dict[str, bool]:
    """Which amounts are known of the range."""
    read = reading.of(session).covers(asked)
    sold = read and _sold(session, terms, asked)
    return {name: sold if name.startswith("recognised") else read for name in AMOUNTS}


def _sold(session: Session, terms: Terms, asked: Range) -> bool:
    """Whether credits were sold here for all that was used in the range."""
    since = sold_since(session, terms)
    if since is None:
        return False
    end = min(start_of(since, terms.timezone), asked.end)
    if end <= asked.start:
        return True
    before = (
        select(Generation.id).where(Generation.charged_at >= asked.start, Generation.charged_at < end).limit(1)
    )
    return session.scalar(before) is None


def _customer(row: Row[Any]) -> CustomerMargin:
    return CustomerMargin(*(getattr(row, one.name) for one in fields(CustomerMargin)))
