"""What each customer paid, earned us and cost in a range: who pays best, and who costs more than they pay.

Cash is what moved at Stripe for charges that are linked to the customer, with the refunds and disputes of those
charges, and Stripe's fees on all of them. Recognised is what became revenue of the credits that they had paid for,
and their other payments. All of it in US dollars at each day's rate, as in `margin`; what has no rate is null. A
customer's profit leaves out the generations whose cost nobody knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Date,
    Numeric,
    Select,
    Text,
    bindparam,
    case,
    cast,
    column,
    func,
    null,
    select,
    text,
)
from sqlalchemy.orm import Session

from makegood import money
from makegood.calendars import start_of
from makegood.models import Customer, ExchangeRate, Generation
from makegood.ranges import Range
from makegood.revenue import rates, reading, recognised
from makegood.revenue.liability import sold_since
from makegood.revenue.payments import PAYMENTS
from makegood.revenue.rates import USD
from makegood.revenue.results import MEASURES
from makegood.stats import customers
from makegood.terms import Terms

LISTED = 10
PROFITS = {"recognised": "recognised_profit", "cash": "profit"}
"""The profit on each basis."""
BASES = tuple(PROFITS)
MICRO = 6
"""Decimals of a dollar's millionth."""

REVENUE = f"""
    {recognised.BEGIN}, rate AS (
        SELECT * FROM unnest(:currencies, :days, :rates) AS rate (currency, rated, micros)
    ), paid AS ({PAYMENTS}
    ), returned AS ({recognised.RETURNED.text}
    ), amounts (customer_id, rated, currency, cash, fees, recognised) AS (
        SELECT customer_id, CASE currency WHEN 'usd' THEN CAST(:first AS date) ELSE day END, currency, sum(amount),
               sum(fee), coalesce(sum(amount) FILTER (WHERE NOT for_credits), 0)
          FROM paid GROUP BY 1, 2, 3
         UNION ALL
        SELECT customer_id, rated, currency, 0, 0,
               (used + expired + clawed + adjusted)::numeric * price_amount / price_credits
          FROM ({recognised.summed((recognised.RATED, "customer_id"))}) AS credits
         UNION ALL
        SELECT customer_id, CASE currency WHEN 'usd' THEN CAST(:first AS date) ELSE day END, currency, 0, 0,
               -(amount * returned)::numeric / paid
          FROM returned
    ), net AS (
        SELECT customer_id, rated, currency, sum(cash) AS cash, sum(fees) AS fees, sum(recognised) AS recognised
          FROM amounts GROUP BY 1, 2, 3
    )
    SELECT customer_id,
           CASE WHEN bool_and(micros IS NOT NULL OR cash = 0) THEN coalesce(sum(cash * micros), 0) END AS cash,
           CASE WHEN bool_and(micros IS NOT NULL OR fees = 0) THEN coalesce(sum(fees * micros), 0) END AS fees,
           CASE WHEN bool_and(micros IS NOT NULL OR recognised = 0) THEN coalesce(sum(recognised * micros), 0) END
               AS recognised
      FROM net LEFT JOIN rate USING (currency, rated) GROUP BY customer_id
"""  # noqa: S608 (made of our own column names)


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
class Customers:
    """The customers with the highest profit, and those with the highest loss: `losing` cost more than they pay.
    Nobody is among them where no profit is `known`."""

    best: Sequence[CustomerMargin]
    worst: Sequence[CustomerMargin]
    count: int
    losing: int
    known: bool


def report(session: Session, terms: Terms, asked: Range, *, basis: str = BASES[0]) -> Customers:
    """The first LISTED from both ends, by the profit on one of BASES. The caller has begun a snapshot."""
    rows = every(session, terms, asked, basis=basis).order_by(None).subquery("customers")
    profit = rows.c[PROFITS[basis]]
    ranked = select(
        rows,
        func.row_number().over(order_by=(profit.desc().nulls_last(), rows.c.customer_id)).label("from_top"),
        func.row_number().over(order_by=(profit.asc().nulls_last(), rows.c.customer_id)).label("from_bottom"),
        func.count().over().label("customers"),
        func.count().filter(profit < 0).over().label("losing"),
    ).subquery("ranked")
    ends = (ranked.c.from_top <= LISTED) | (ranked.c.from_bottom <= LISTED)
    found = list(session.execute(select(ranked).where(ends).order_by(ranked.c.from_top)))
    profits = [getattr(row, PROFITS[basis]) or 0 for row in found]
    ranks = list(zip(found, profits, strict=True))
    return Customers(
        [_customer(row) for row, profit in ranks if row.from_top <= LISTED and profit > 0],
        [_customer(row) for row, profit in reversed(ranks) if row.from_bottom <= LISTED and profit < 0],
        found[0].customers if found else 0,
        found[0].losing if found else 0,
        not found or any(getattr(row, PROFITS[basis]) is not None for row in found),
    )


def every(session: Session, terms: Terms, asked: Range, *, basis: str = BASES[0]) -> Select[*tuple[Any, ...]]:
    """Every customer who paid, used or cost anything in the range, the highest profit on that basis first."""
    used = customers.each(session, terms, asked, MEASURES).subquery("used")
    paid = _revenue(session, terms, asked).subquery("paid")
    read = reading.of(session).covers(asked)
    known = {"cash": read, "fees": read, "recognised": read and _sold(session, terms, asked)}
    cash, fees, recognised_ = (
        case((paid.c.customer_id.is_(None), 0), else_=paid.c[name]) if known[name] else cast(null(), Numeric)
        for name in ("cash", "fees", "recognised")
    )
    unknown = (used.c.generations > 0) & (used.c.unknown_costs == used.c.generations)
    cost = case((unknown, null()), else_=func.coalesce(used.c.cost_micros, 0))
    amounts = {
        "cash": cash,
        "fees": fees,
        "recognised": recognised_,
        "cost": cost,
        "loss": func.coalesce(used.c.loss_micros, 0),
        "profit": cash - fees - cost,
        "recognised_profit": recognised_ - fees - cost,
    }
    rows = (
        select(
            Customer.id.label("customer_id"),
            Customer.email,
            Customer.tier,
            *(cast(func.round(amount), BigInteger).label(name) for name, amount in amounts.items()),
            func.coalesce(used.c.unknown_costs, 0).label("unknown_costs"),
            func.coalesce(used.c.generations, 0).label("generations"),
        )
        .select_from(used.outerjoin(paid, used.c.customer_id == paid.c.customer_id, full=True))
        .join(Customer, Customer.id == func.coalesce(used.c.customer_id, paid.c.customer_id))
        .subquery("rows")
    )
    return select(rows).order_by(rows.c[PROFITS[basis]].desc().nulls_last(), rows.c.customer_id)


def _revenue(session: Session, terms: Terms, asked: Range) -> Select[*tuple[Any, ...]]:
    """`cash`, `fees` and `recognised` of each customer, in micro-dollars. Unlinked payments have no customer."""
    table = rates.between(session, asked.first, asked.last)
    currencies = [USD, *session.scalars(select(ExchangeRate.currency).distinct())]
    found = [(currency, day, table.of(currency, day)) for currency in currencies for day in asked.days()]
    known = [
        (currency, day, rate.usd_per_unit.scaleb(MICRO - money.exponent(currency)))
        for currency, day, rate in found
        if rate is not None
    ]
    values = recognised.parameters(session, terms.timezone, asked.first, asked.last)
    values |= {"start": asked.start, "end": asked.end}
    values |= {name: [row[n] for row in known] for n, name in enumerate(("currencies", "days", "rates"))}
    types: dict[str, Any] = {"currencies": ARRAY(Text), "days": ARRAY(Date), "rates": ARRAY(Numeric)}
    bound = text(REVENUE).bindparams(
        *(bindparam(name, value, type_=types.get(name)) for name, value in values.items())
    )
    amounts = (column(name, Numeric) for name in ("cash", "fees", "recognised"))
    return select(bound.columns(column("customer_id", Text), *amounts).subquery("revenue"))


def _sold(session: Session, terms: Terms, asked: Range) -> bool:
    """Whether credits were sold here for all that was used in the range."""
    since = sold_since(session, terms)
    if since is None:
        return False
    end = min(start_of(since, terms.timezone), asked.end)
    before = (
        select(Generation.id).where(Generation.charged_at >= asked.start, Generation.charged_at < end).limit(1)
    )
    return session.scalar(before) is None


def _customer(row: Any) -> CustomerMargin:
    return CustomerMargin(*(getattr(row, one.name) for one in fields(CustomerMargin)))
