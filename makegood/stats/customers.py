"""Who used most in a range, and what one customer used ever.

Customers are summed by days, quarters of a month and months of the reporting time zone: a range is read as those
`blocks` that are the fewest rows. What a range of another time zone has beside whole days comes from its events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, Row, Select, bindparam, select, text
from sqlalchemy.orm import Session

from makegood import rollups
from makegood.calendars import local_day
from makegood.models import Balance, Customer
from makegood.payers import PAYERS, Payers
from makegood.ranges import Range
from makegood.rollup_tables import CUSTOMERS
from makegood.stats import blocks, sums, usage
from makegood.stats.figures import MEASURE_NAMES, Usage
from makegood.stats.usage import UsageFilters
from makegood.terms import Terms

LISTED = 50
AMOUNTS = {
    "generations": "generations",
    "failed": "failed",
    "refunds": "refunds",
    "credits": "credits_charged - credits_refunded",
    "cost": "cost_micros",
    "loss": "loss_micros",
}
SORTS = tuple(AMOUNTS)
_COLUMNS = ", ".join(CUSTOMERS.measures)
_MINUS = ", ".join(f"-{name}" for name in CUSTOMERS.measures)
_SUMS = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in CUSTOMERS.measures)


def _summed(measures: Sequence[str], but: str = "true") -> str:
    listed = ", ".join(f"bigint_sum({name}) AS {name}" for name in measures)
    some = " OR ".join(f"{name} <> 0" for name in measures)
    summed = f"SELECT customer_id, {listed} FROM (%s) AS facts GROUP BY customer_id"  # noqa: S608
    return f"SELECT * FROM ({summed}) AS summed WHERE ({some}) AND {but}"  # noqa: S608


SUMMED = _summed(CUSTOMERS.measures)
ALL = f"SELECT {_SUMS} FROM (%s) AS facts"  # noqa: S608
RANKED = """
    SELECT customer_id, amount, count(*) FILTER (WHERE generations > 0) OVER () AS active
      FROM (SELECT customer_id, bigint_sum(amount) AS amount, bigint_sum(generations) AS generations
              FROM (%s) AS facts GROUP BY customer_id) AS used
"""
# Of one tier: as RANKED, with what all of them used together. To sum them by themselves would read them once more.
_ALL_OVER = ", ".join(f"bigint_sum({name}) OVER () AS {name}" for name in CUSTOMERS.measures)
RANKED_OF_TIER = (
    f"SELECT customer_id, %s AS amount, count(*) FILTER (WHERE generations > 0) OVER () AS active, {_ALL_OVER}"  # noqa: S608
    f" FROM ({SUMMED}) AS used"
)
SINCE = text(
    f"""
    SELECT {_SUMS}
      FROM (SELECT {_COLUMNS} FROM rollup_customer_months
             WHERE :valid AND customer_id = :customer AND month >= :month
             UNION ALL
            SELECT {_COLUMNS} FROM events
             WHERE xid >= CAST(:watermark AS xid8) AND customer_id = :customer AND {CUSTOMERS.only}
               AND CAST(at AT TIME ZONE :zone AS date) >= :month) AS facts
    """  # noqa: S608
).bindparams(bindparam("month", type_=Date))


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
    query = _ranked(session, terms, asked, sort, tier)
    columns = query.selected_columns
    ranked = list(session.execute(query.order_by(columns["amount"].desc(), columns["customer_id"]).limit(LISTED)))
    listed = [row.customer_id for row in ranked if row.amount]
    found = {row.customer_id: row for row in session.execute(_every(session, terms, asked, _Who(listed)))}
    earlier = session.execute(_every(session, terms, asked.previous(), _Who(listed)))
    before = {row.customer_id: _usage(row) for row in earlier}
    rows = [(found[customer_id], before.get(customer_id, Usage())) for customer_id in listed]
    return TopCustomers(
        asked.now,
        ranked[0].active if ranked else 0,
        _total(session, terms, asked) if tier is None else _usage(ranked[0]) if ranked else Usage(),
        _total(session, terms, asked.previous(), tier),
        [TopCustomer(row.customer_id, row.email, row.tier, row.balance, _usage(row), was) for row, was in rows],
    )


@dataclass(frozen=True)
class _Who:
    """Which customers to count: these, those now in a tier, or of the `payers` alone if they are `paying`; None is
    no restriction."""

    ids: list[str] | None = None
    tier: str | None = None
    payers: Payers | None = None
    paying: bool = False


def _ranked(session: Session, terms: Terms, asked: Range, sort: str, tier: str | None) -> Select[*tuple[Any, ...]]:
    if tier is not None:
        statement = RANKED_OF_TIER.replace("%s", AMOUNTS[sort], 1)
        columns = f"customer_id, {_COLUMNS}", f"customer_id, {_MINUS}"
        measures = ("amount", "active", *CUSTOMERS.measures)
        return _read(session, terms, asked, statement, columns, measures, _Who(tier=tier))
    amounts = (
        f"customer_id, generations, {AMOUNTS[sort]} AS amount",
        f"customer_id, -generations, -({AMOUNTS[sort]})",
    )
    return _read(session, terms, asked, RANKED, amounts, ("amount", "active"), _Who())


def _total(session: Session, terms: Terms, asked: Range, tier: str | None = None) -> Usage:
    """What all of them used together: customers are summed only where the providers' sums are not theirs."""
    if tier is None:
        used = session.execute(usage.by(session, terms, asked, UsageFilters(), usage.PROVIDER))
        return Usage.total(_usage(row) for row in used)
    columns = f"customer_id, {_COLUMNS}", f"customer_id, {_MINUS}"
    all_ = _read(session, terms, asked, ALL, columns, CUSTOMERS.measures, _Who(tier=tier), ())
    return _usage(session.execute(all_).one())


def every(
    session: Session, terms: Terms, asked: Range, *, sort: str = SORTS[0], tier: str | None = None
) -> Select[*tuple[Any, ...]]:
    """Customers (or those now in a tier) with what they used in the range and who they are now, most first."""
    return _every(session, terms, asked, _Who(tier=tier), sort)


def each(
    session: Session,
    terms: Terms,
    asked: Range,
    measures: Sequence[str],
    whom: Payers,
    *,
    paying: bool,
) -> Select[*tuple[Any, ...]]:
    """The ids of those who ever paid, or of all others, who had any of these measures in the range, and how much:
    in no order."""
    columns = ", ".join(("customer_id", *measures)), ", ".join(("customer_id", *(f"-{one}" for one in measures)))
    who = _Who(payers=whom, paying=paying)
    # All others are left out after their sums, not row by row: they are few.
    statement = _summed(measures, "true" if paying else f"customer_id NOT IN ({PAYERS})")
    return _read(session, terms, asked, statement, columns, tuple(measures), who)


def _every(
    session: Session, terms: Terms, asked: Range, who: _Who, sort: str = SORTS[0]
) -> Select[*tuple[Any, ...]]:
    columns = f"customer_id, {_COLUMNS}", f"customer_id, {_MINUS}"
    row = _read(session, terms, asked, SUMMED, columns, CUSTOMERS.measures, who).subquery("used")
    order = row.c.credits_charged - row.c.credits_refunded if sort == "credits" else row.c[AMOUNTS[sort]]
    return (
        select(Customer.email, Customer.tier, Balance.balance, row)
        .join(Customer, Customer.id == row.c.customer_id)
        .join(Balance, Balance.customer_id == row.c.customer_id)
        .order_by(order.desc(), row.c.customer_id)
    )


def _read(
    session: Session,
    terms: Terms,
    asked: Range,
    statement: str,
    columns: tuple[str, str],
    measures: tuple[str, ...],
    who: _Who,
    keys: tuple[str, ...] = ("customer_id",),
) -> Select[*tuple[Any, ...]]:
    """The statement over the range's rows: `columns` of what is added, and of what is taken away."""
    parts = sums.cut(asked, terms.timezone, ())
    state = rollups.state(session, terms.timezone)
    whole = blocks.joined(blocks.fewest(parts.whole_days, local_day(asked.now, terms.timezone)))
    # Customers are not summed by less than a day: what is beside whole days is read from the events.
    beside = [*parts.whole_buckets, *parts.edges]
    tail = "events WHERE xid >= CAST(:watermark AS xid8) AND at >= :start AND at < :end"
    rows = [(columns[0], f"{one} AND {CUSTOMERS.only}") for one in (tail, *sums.edges(len(beside)))]
    flagged = []
    for number, block in enumerate(whole, start=1):
        since, until = (f"(:blocks_{end})[{number}]" for end in ("since", "until"))
        inside = f"{CUSTOMERS.tables[block.period]} WHERE :valid"
        inside += f" AND {block.period} >= {since} AND {block.period} < {until}"
        if who.payers and who.paying and block.period in CUSTOMERS.flagged:
            flagged += [(columns[block.taken], f"{inside} AND {theirs}") for theirs in who.payers.rows()]
        else:
            rows.append((columns[block.taken], inside))
    chosen = "" if who.ids is None else " AND customer_id = ANY(:only)"
    facts = " UNION ALL ".join(f"SELECT {listed} FROM {source}{chosen}" for listed, source in rows)  # noqa: S608
    if who.paying:
        facts = f"SELECT * FROM ({facts}) AS facts WHERE customer_id IN ({PAYERS})"  # noqa: S608
        facts = " UNION ALL ".join((facts, *(f"SELECT {listed} FROM {source}" for listed, source in flagged)))  # noqa: S608
    if who.tier is not None:
        facts = f"SELECT facts.* FROM ({facts}) AS facts JOIN customers ON id = customer_id WHERE tier = :tier"  # noqa: S608
    values = {"blocks_since": [one.since for one in whole], "blocks_until": [one.until for one in whole]}
    more = {**values, **sums.edge_values(beside), "only": who.ids, "tier": who.tier}
    more |= who.payers.parameters if who.payers else {}
    return sums.selected(statement % facts, keys, measures, state, parts, more=more)


def since(session: Session, terms: Terms, customer_id: str, month: date = date.min) -> Usage:
    """What a customer used since the first day of a month (reporting time zone); without one, ever."""
    state = rollups.state(session, terms.timezone)
    values = {
        "valid": state.valid,
        "watermark": state.watermark,
        "customer": customer_id,
        "month": month,
        "zone": terms.timezone.key,
    }
    return _usage(session.execute(SINCE, values).one())


def _usage(row: Row[Any]) -> Usage:
    return Usage(**{name: getattr(row, name) for name in MEASURE_NAMES if hasattr(row, name)})
