"""Paid credits in other currencies at each day's rate, by quarters of a month that are over.

What a customer's credits of another currency are in US dollars takes every day's rate: so many rows is a reader
spared. A quarter is kept with the rates that it was made with. It counts where those are its rates still, and what
is added to its days takes it away: what does not count is read by days.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Date, Numeric, Row, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session
from sqlalchemy.types import Text

from makegood import money
from makegood.calendars import next_quarter, quarter_of
from makegood.ranges import DAY
from makegood.revenue import rates, recognised
from makegood.revenue.rates import Rates
from makegood.revenue.recognised import GONE, PRICE

MICRO = 6
"""Decimals of a dollar's millionth."""
AT_ONCE = 8
FIRST = text("SELECT min(day) FROM recognised_customer_days WHERE currency <> 'usd'")
KEPT = text(
    "SELECT quarter, rates, complete FROM rated_quarters"
    " WHERE quarter >= :first AND quarter <= :last ORDER BY quarter"
)
FORGET = (
    text("DELETE FROM rated_customer_quarters WHERE quarter = :quarter"),
    text("DELETE FROM rated_quarters WHERE quarter = :quarter"),
)
_KEYS = ", ".join(("customer_id", *PRICE))
# One row without a rate, and the quarter is not complete.
MAKE = text(
    f"""
    WITH rate AS (SELECT * FROM unnest(:currencies, :days, :rates) AS rate (currency, day, micros)),
         found AS MATERIALIZED (
        SELECT {_KEYS}, sum(({GONE}) * micros) AS micros, bool_and(micros IS NOT NULL) AS complete
          FROM recognised_customer_days LEFT JOIN rate USING (currency, day)
         WHERE currency <> 'usd' AND day >= :quarter AND day < :until GROUP BY {_KEYS}
    ), kept AS (
        INSERT INTO rated_quarters (quarter, rates, complete)
        SELECT :quarter, :print, coalesce(bool_and(complete), true) FROM found RETURNING complete
    )
    INSERT INTO rated_customer_quarters (quarter, {_KEYS}, micros)
    SELECT :quarter, {_KEYS}, micros FROM found WHERE (SELECT complete FROM kept)
    """  # noqa: S608 (made of our own column names)
).bindparams(
    bindparam("currencies", type_=ARRAY(Text)),
    bindparam("days", type_=ARRAY(Date)),
    bindparam("rates", type_=ARRAY(Numeric)),
    bindparam("quarter", type_=Date),
    bindparam("until", type_=Date),
)


def fold(session: Session, timezone: ZoneInfo, today: date) -> int:
    """Make at most AT_ONCE quarters that are over and not kept with their rates. Returns how many."""
    if session.scalar(recognised.LOCK_ZONE) != timezone.key:
        return 0
    first = session.scalar(FIRST)
    if first is None:
        return 0
    over = [quarter for quarter in _quarters(first, today) if next_quarter(quarter) <= today]
    kept = {row.quarter: row.rates for row in _kept(session, over)}
    table = rates.between(session, over[0], today) if over else Rates(())
    due = [quarter for quarter in over if kept.get(quarter) != fingerprint(table, quarter)][:AT_ONCE]
    for quarter in due:
        for statement in FORGET:
            session.execute(statement, {"quarter": quarter})
        until = next_quarter(quarter)
        values = {"quarter": quarter, "until": until, "print": fingerprint(table, quarter)}
        session.execute(MAKE, values | micros(table, quarter, until - DAY))
    return len(due)


def read(session: Session, table: Rates, first: date, last: date) -> list[date]:
    """The quarters within the days from `first` to `last` that count, by these rates. The caller has begun a
    snapshot, and the rollups are of the time zone of these days."""
    inside = [one for one in _quarters(first, last) if one >= first and next_quarter(one) <= last + DAY]
    kept = _kept(session, inside)
    return [row.quarter for row in kept if row.complete and row.rates == fingerprint(table, row.quarter)]


def fingerprint(table: Rates, quarter: date) -> str:
    """What a quarter's rates are told by: of each of its days, of every currency that has one."""
    every = micros(table, quarter, next_quarter(quarter) - DAY)
    listed = zip(every["currencies"], every["days"], every["rates"], strict=True)
    lines = "\n".join(f"{currency} {day} {rate.normalize()}" for currency, day, rate in listed)
    return sha256(lines.encode()).hexdigest()


def micros(table: Rates, first: date, last: date) -> dict[str, list[Any]]:
    """Micro-dollars for a minor unit of each currency but US dollars, on each day that has a rate, as three lists
    of one length: `currencies`, `days`, `rates`."""
    days = [first + DAY * number for number in range((last - first).days + 1)]
    found = [(currency, day, table.of(currency, day)) for currency in sorted(table.currencies) for day in days]
    known = [
        (currency, day, rate.usd_per_unit.scaleb(MICRO - money.exponent(currency)))
        for currency, day, rate in found
        if rate is not None
    ]
    return {name: [row[n] for row in known] for n, name in enumerate(("currencies", "days", "rates"))}


def _quarters(first: date, last: date) -> list[date]:
    found = [quarter_of(first)]
    while (following := next_quarter(found[-1])) <= last:
        found.append(following)
    return found


def _kept(session: Session, quarters: Sequence[date]) -> Sequence[Row[tuple[date, str, bool]]]:
    if not quarters:
        return []
    return session.execute(KEPT, {"first": quarters[0], "last": quarters[-1]}).all()
