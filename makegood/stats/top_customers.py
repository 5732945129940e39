"""The customers who used most in a range, beside what they used in the period before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from makegood.models import Balance, Customer
from makegood.ranges import Range
from makegood.rollup_tables import CUSTOMERS
from makegood.stats import usage
from makegood.stats.customers import AMOUNTS, BOTH, SORTS, SUMMED, Who, of_row, read, who_used
from makegood.stats.figures import Usage
from makegood.stats.usage import UsageFilters
from makegood.terms import Terms

LISTED = 50
RANKED = """
    SELECT customer_id, amount, count(*) FILTER (WHERE generations > 0) OVER () AS active
      FROM (SELECT customer_id, bigint_sum(amount) AS amount, bigint_sum(generations) AS generations
              FROM (%s) AS facts GROUP BY customer_id) AS used
"""
# Of one tier nothing is summed but its customers: each of them and all together are read in one go.
_ALL = {name: f"all_{name}" for name in CUSTOMERS.measures}
_OF_ALL = ", ".join(f"bigint_sum({name}) OVER () AS {of_all}" for name, of_all in _ALL.items())
RANKED_OF_TIER = (
    f"SELECT *, %s AS amount, count(*) FILTER (WHERE generations > 0) OVER () AS active, {_OF_ALL}"  # noqa: S608
    f" FROM ({SUMMED}) AS used"
)
_SUMS = ", ".join(f"bigint_sum({name}) AS {name}" for name in CUSTOMERS.measures)
EARLIER_OF_TIER = f"""
    SELECT CASE WHEN customer_id = ANY(CAST(:listed AS text[])) THEN customer_id END AS customer_id, {_SUMS}
      FROM (%s) AS facts GROUP BY 1
"""  # noqa: S608


@dataclass(frozen=True)
class TopCustomer:
    """A customer now, and what they used in the range and in the period before."""

    customer_id: str
    email: str | None
    tier: str
    balance: int
    usage: Usage
    before: Usage


@dataclass(frozen=True)
class TopCustomers:
    """The customers who used most, and what all together used: what a share is of. `active` customers had a
    generation charged in the range. `before` is of the period before."""

    as_of: datetime
    active: int
    total: Usage
    before: Usage
    rows: list[TopCustomer]


def top(
    session: Session, terms: Terms, asked: Range, *, sort: str = SORTS[0], tier: str | None = None
) -> TopCustomers:
    """The first LISTED of all, or of those now in a tier, with the most of one of SORTS. The caller has begun a
    snapshot."""
    if tier is not None:
        return _of_tier(session, terms, asked, sort, tier)
    amounts = (
        f"customer_id, generations, {AMOUNTS[sort]} AS amount",
        f"customer_id, -generations, -({AMOUNTS[sort]})",
    )
    query = _most(read(session, terms, asked, RANKED, amounts, ("amount", "active"), Who()))
    ranked = session.execute(query).all()
    who = Who([row.customer_id for row in ranked if row.amount])
    found = {row.customer_id: row for row in session.execute(who_used(session, terms, asked, who))}
    earlier = session.execute(who_used(session, terms, asked.previous(), who))
    before = {row.customer_id: of_row(row) for row in earlier}
    rows = [(found[one], before.get(one, Usage())) for one in who.ids or ()]
    return TopCustomers(
        asked.now,
        ranked[0].active if ranked else 0,
        _total(session, terms, asked),
        _total(session, terms, asked.previous()),
        [TopCustomer(row.customer_id, row.email, row.tier, row.balance, of_row(row), was) for row, was in rows],
    )


def _of_tier(session: Session, terms: Terms, asked: Range, sort: str, tier: str) -> TopCustomers:
    statement = RANKED_OF_TIER.replace("%s", AMOUNTS[sort], 1)
    measures = (*CUSTOMERS.measures, "amount", "active", *_ALL.values())
    ranked = _most(read(session, terms, asked, statement, BOTH, measures, Who(tier=tier))).subquery("ranked")
    query = (
        select(Customer.email, Customer.tier, Balance.balance, ranked)
        .join(Customer, Customer.id == ranked.c.customer_id)
        .join(Balance, Balance.customer_id == ranked.c.customer_id)
        .order_by(ranked.c.amount.desc(), ranked.c.customer_id)
    )
    found = session.execute(query).all()
    rows = [row for row in found if row.amount]
    who = Who(tier=tier, values={"listed": [row.customer_id for row in rows]})
    query = read(session, terms, asked.previous(), EARLIER_OF_TIER, BOTH, CUSTOMERS.measures, who)
    before = {row.customer_id: of_row(row) for row in session.execute(query)}
    return TopCustomers(
        asked.now,
        found[0].active if found else 0,
        of_row(found[0], _ALL) if found else Usage(),
        Usage.total(before.values()),
        [
            TopCustomer(
                row.customer_id,
                row.email,
                row.tier,
                row.balance,
                of_row(row),
                before.get(row.customer_id, Usage()),
            )
            for row in rows
        ],
    )


def _most(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """The first LISTED by the amount."""
    columns = query.selected_columns
    return query.order_by(columns["amount"].desc(), columns["customer_id"]).limit(LISTED)


def _total(session: Session, terms: Terms, asked: Range) -> Usage:
    """What all of them used together: the providers' sums are few."""
    used = session.execute(usage.by(session, terms, asked, UsageFilters(), usage.PROVIDER))
    return Usage.total(Usage._make(measures) for _, *measures in used)
