"""What customers used in a range, and what one used ever.

Customers are summed by days, quarters of a month and months of the reporting time zone: a range is read as those
`blocks` that are the fewest rows. What a range of another time zone has beside whole days comes from its events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Date, Row, Select, bindparam, select, text
from sqlalchemy.orm import Session

from makegood.calendars import local_day
from makegood.models import Balance, Customer
from makegood.payers import PAYERS, Payers
from makegood.ranges import Range
from makegood.rollup_tables import CUSTOMERS
from makegood.stats import blocks, snapshot, sums
from makegood.stats.figures import Usage
from makegood.terms import Terms

AMOUNTS = {
    "generations": "generations",
    "failed": "failed",
    "refunds": "refunds",
    "credits": "credits_charged - credits_refunded",
    "cost": "cost_micros",
    "loss": "loss_micros",
}
SORTS = tuple(AMOUNTS)
"""By what customers may be ordered."""
COLUMNS = ", ".join(CUSTOMERS.measures)
BOTH = f"customer_id, {COLUMNS}", f"customer_id, {', '.join(f'-{name}' for name in CUSTOMERS.measures)}"
"""All measures, of rows that are added and of those that are taken away."""
_SUMS = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in CUSTOMERS.measures)


def _summed(measures: Sequence[str], but: str = "true") -> str:
    listed = ", ".join(f"bigint_sum({name}) AS {name}" for name in measures)
    some = " OR ".join(f"{name} <> 0" for name in measures)
    summed = f"SELECT customer_id, {listed} FROM (%s) AS facts GROUP BY customer_id"  # noqa: S608
    return f"SELECT * FROM ({summed}) AS summed WHERE ({some}) AND {but}"  # noqa: S608


SUMMED = _summed(CUSTOMERS.measures)
SINCE = text(
    f"""
    SELECT {_SUMS}
      FROM (SELECT {COLUMNS} FROM rollup_customer_months
             WHERE :valid AND customer_id = :customer AND month >= :month
             UNION ALL
            SELECT {COLUMNS} FROM events
             WHERE xid >= CAST(:watermark AS xid8) AND customer_id = :customer AND {CUSTOMERS.only}
               AND CAST(at AT TIME ZONE :zone AS date) >= :month) AS facts
    """  # noqa: S608
).bindparams(bindparam("month", type_=Date))


@dataclass(frozen=True)
class Who:
    """Which customers to count: these, those now in a tier, or of the `payers` alone if they are `paying`; None is
    no restriction. `values` are parameters of the statement itself."""

    ids: list[str] | None = None
    tier: str | None = None
    payers: Payers | None = None
    paying: bool = False
    values: Mapping[str, object] = field(default_factory=dict)


def every(
    session: Session, terms: Terms, asked: Range, *, sort: str = SORTS[0], tier: str | None = None
) -> Select[*tuple[Any, ...]]:
    """Customers (or those now in a tier) with what they used in the range and who they are now, most first."""
    return who_used(session, terms, asked, Who(tier=tier), sort)


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
    who = Who(payers=whom, paying=paying)
    # All others are left out after their sums, not row by row: they are few.
    statement = _summed(measures, "true" if paying else f"customer_id NOT IN ({PAYERS})")
    return read(session, terms, asked, statement, columns, tuple(measures), who)


def who_used(
    session: Session, terms: Terms, asked: Range, who: Who, sort: str = SORTS[0]
) -> Select[*tuple[Any, ...]]:
    """These customers, as `every`."""
    row = read(session, terms, asked, SUMMED, BOTH, CUSTOMERS.measures, who).subquery("used")
    order = row.c.credits_charged - row.c.credits_refunded if sort == "credits" else row.c[AMOUNTS[sort]]
    return (
        select(Customer.email, Customer.tier, Balance.balance, row)
        .join(Customer, Customer.id == row.c.customer_id)
        .join(Balance, Balance.customer_id == row.c.customer_id)
        .order_by(order.desc(), row.c.customer_id)
    )


def read(
    session: Session,
    terms: Terms,
    asked: Range,
    statement: str,
    columns: tuple[str, str],
    measures: tuple[str, ...],
    who: Who,
) -> Select[*tuple[Any, ...]]:
    """The statement over the range's rows, its `%s`: `columns` of what is added, and of what is taken away. It
    gives `customer_id` and these measures."""
    parts = sums.cut(asked, terms.timezone, ())
    state = snapshot.state(session, terms.timezone)
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
    more = {**values, **sums.edge_values(beside), "only": who.ids, "tier": who.tier, **who.values}
    more |= who.payers.parameters if who.payers else {}
    return sums.selected(statement % facts, ("customer_id",), measures, state, parts, more=more)


def since(session: Session, terms: Terms, customer_id: str, month: date = date.min) -> Usage:
    """What a customer used since the first day of a month (reporting time zone); without one, ever."""
    state = snapshot.state(session, terms.timezone)
    values = {
        "valid": state.valid,
        "watermark": state.watermark,
        "customer": customer_id,
        "month": month,
        "zone": terms.timezone.key,
    }
    return of_row(session.execute(SINCE, values).one())


def of_row(row: Row[Any], names: Mapping[str, str] | None = None) -> Usage:
    """The measures that a row has, by these names of theirs, as Usage."""
    return Usage(**{name: getattr(row, (names or {}).get(name, name)) for name in CUSTOMERS.measures})
