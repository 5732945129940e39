"""Who used most in a range, and what one customer used ever.

Customers are summed by days and months of the reporting time zone. A range is read as the months within it; and of
a month that it covers in part, either the days that it covers or the month less those that it does not, whichever
are fewer; what a range of another time zone has beside whole days comes from its events.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Date, Row, Select, bindparam, select, text
from sqlalchemy.orm import Session

from makegood import rollups
from makegood.calendars import local_day, month_of, next_month
from makegood.models import Balance, Customer
from makegood.ranges import Range
from makegood.rollup_tables import CUSTOMERS
from makegood.stats import sums, usage
from makegood.stats.figures import MEASURE_NAMES, Usage
from makegood.stats.pieces import Pieces
from makegood.stats.usage import UsageFilters
from makegood.terms import Terms

DAY = timedelta(days=1)
LISTED = 50
SORTS = ("generations", "failed", "refunds", "credits", "cost", "loss")
Days = tuple[date, date]
_COLUMNS = ", ".join(CUSTOMERS.measures)
_MINUS = ", ".join(f"-{name}" for name in CUSTOMERS.measures)
_EVENTS = ", ".join(f"events.{name}" for name in CUSTOMERS.measures)
_SUMS = ", ".join(f"coalesce(sum({name}), 0)::bigint AS {name}" for name in CUSTOMERS.measures)

SUMMED = f"""
    SELECT customer_id, {_SUMS}, count(*) OVER () AS customers
      FROM (SELECT customer_id, {_COLUMNS} FROM rollup_customer_months WHERE :valid AND month = ANY(:months)
             UNION ALL
            SELECT customer_id, {_COLUMNS}
              FROM unnest(:added_since, :added_until) AS pieces (since, until)
              JOIN rollup_customer_days ON day >= since AND day < until WHERE :valid
             UNION ALL
            SELECT customer_id, {_MINUS}
              FROM unnest(:taken_since, :taken_until) AS pieces (since, until)
              JOIN rollup_customer_days ON day >= since AND day < until WHERE :valid
             UNION ALL
            SELECT customer_id, {_EVENTS}
              FROM unnest(:edges_since, :edges_until) AS pieces (since, until)
              JOIN events ON at >= since AND at < until
             WHERE xid < CAST(:watermark AS xid8) AND {CUSTOMERS.only}
             UNION ALL
            SELECT customer_id, {_EVENTS}
              FROM events
             WHERE xid >= CAST(:watermark AS xid8) AND at >= :start AND at < :end AND {CUSTOMERS.only}) AS facts
     GROUP BY customer_id HAVING {" OR ".join(f"sum({name}) <> 0" for name in CUSTOMERS.measures)}
"""  # noqa: S608 (made of our own column names)
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
    """A customer now, and what they used in the range."""

    customer_id: str
    email: str | None
    tier: str
    balance: int
    usage: Usage


@dataclass(frozen=True)
class TopCustomers:
    """The customers who used most, and what all together used: what a share is of. `customers` is how many were
    charged, refunded, or saw a generation end in the range."""

    as_of: datetime
    customers: int
    total: Usage
    rows: list[TopCustomer]


def top(session: Session, terms: Terms, asked: Range, *, sort: str = SORTS[0]) -> TopCustomers:
    """The first LISTED by one of SORTS. The caller has begun a snapshot."""
    rows = list(session.execute(every(session, terms, asked, sort=sort, limit=LISTED)))
    total = Usage.total(
        _usage(row) for row in session.execute(usage.by(session, terms, asked, UsageFilters(), usage.PROVIDER))
    )
    listed = [TopCustomer(row.customer_id, row.email, row.tier, row.balance, _usage(row)) for row in rows]
    return TopCustomers(asked.now, rows[0].customers if rows else 0, total, listed)


def every(
    session: Session, terms: Terms, asked: Range, *, sort: str = SORTS[0], limit: int | None = None
) -> Select[*tuple[Any, ...]]:
    """Customers with what they used in the range and who they are now, most first."""
    parts = sums.cut(asked, terms.timezone, ())
    state = rollups.state(session, terms.timezone)
    more = _months(parts.whole_days, local_day(asked.now, terms.timezone)) | _outside(parts)
    columns = (*CUSTOMERS.measures, "customers")
    used = sums.selected(SUMMED, ("customer_id",), columns, state, parts, more=more)
    found = used.selected_columns
    credits = found["credits_charged"] - found["credits_refunded"]
    order = {"credits": credits, "cost": found["cost_micros"], "loss": found["loss_micros"]}.get(sort)
    order = found[sort] if order is None else order
    most = used.add_columns(order.label("sorted")).order_by(order.desc(), found["customer_id"]).limit(limit)
    row = most.subquery("used")
    return (
        select(Customer.email, Customer.tier, Balance.balance, row)
        .join(Customer, Customer.id == row.c.customer_id)
        .join(Balance, Balance.customer_id == row.c.customer_id)
        .order_by(row.c.sorted.desc(), row.c.customer_id)
    )


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


def _months(whole_days: list[Days], today: date) -> dict[str, object]:
    """Whole days as months, days that are added to them, and days that are taken from them."""
    months, added, taken = [], [], []
    for first, until in whole_days:
        month = month_of(first)
        while month < until:
            following = next_month(month)
            inside = (max(first, month), min(until, following))
            outside = [days for days in ((month, inside[0]), (inside[1], following)) if days[0] < days[1]]
            if sum(_past(days, today) for days in outside) < _past(inside, today):
                months.append(month)
                taken += outside
            else:
                added.append(inside)
            month = following
    return {"months": months, **_ends("added", added), **_ends("taken", taken)}


def _past(days: Days, today: date) -> int:
    """How many of these days have rows: nearly none after today."""
    return max(0, (min(days[1], today + DAY) - days[0]).days)


def _ends(name: str, intervals: list[Days]) -> dict[str, object]:
    return {
        f"{name}_since": [since for since, _ in intervals],
        f"{name}_until": [until for _, until in intervals],
    }


def _outside(parts: Pieces) -> dict[str, object]:
    """What is beside whole days: read from events, because customers are not summed by less than a day."""
    intervals = [*parts.whole_buckets, *parts.edges]
    return {"edges_since": [since for since, _ in intervals], "edges_until": [until for _, until in intervals]}


def _usage(row: Row[Any]) -> Usage:
    return Usage(**{name: getattr(row, name) for name in MEASURE_NAMES if hasattr(row, name)})
