"""What each customer's payments of a range come to.

US dollars are read by months of UTC, and payment by payment where a month is not covered: see `stats.blocks`.
In another currency every day has its own rate, so those are read one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood import payers
from makegood.payers import Payers
from makegood.ranges import DAY, Range
from makegood.revenue import payments
from makegood.revenue.payments import OF_SOURCES, SOME
from makegood.stats import blocks

Interval = tuple[datetime, datetime]
_DIRECT = "CASE WHEN for_credits THEN 0 ELSE amount END"
_THEIRS = "customer_id IS NOT NULL AND currency = 'usd'"
_INSIDE = "created_at >= :start AND created_at < :end"
_ADDED, _TAKEN = (
    f"SELECT customer_id, {sign}1, {sign}amount, {sign}fee, {sign}{_DIRECT} FROM" for sign in ("", "-")
)
WORKED_OUT_PAYERS = text(
    f"SELECT DISTINCT customer_id FROM ({OF_SOURCES}) AS worked_out WHERE customer_id IS NOT NULL"  # noqa: S608
).bindparams(SOME)


def dollars(asked: Range, due: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """What was paid in US dollars, as SQL with its parameters, in cents by customer who has payments: `cash` that
    moved, Stripe's `fees`, and the cash that bought no credits, `direct`. `due` are the payments that are not in
    line with what changed."""
    months, added, taken = _read(asked)
    rows = [
        "SELECT customer_id, payments, cash, fees, direct FROM payment_months"
        " WHERE currency = 'usd' AND month = ANY(CAST(:paid_months AS date[]))"
    ]
    values: dict[str, Any] = {"paid_months": months, "start": asked.start, "end": asked.end, "due": list(due)}
    for number, (sign, (since, until)) in enumerate(
        [(_ADDED, one) for one in added] + [(_TAKEN, one) for one in taken]
    ):
        inside = f"created_at >= :paid_since_{number} AND created_at < :paid_until_{number}"
        rows.append(f"{sign} payments WHERE {_THEIRS} AND {inside}")
        values |= {f"paid_since_{number}": since, f"paid_until_{number}": until}
    if due:
        rows.append(f"{_TAKEN} payments WHERE {_THEIRS} AND {_INSIDE} AND source = ANY(:due)")
        rows.append(f"{_ADDED} ({OF_SOURCES}) AS worked_out WHERE {_THEIRS} AND {_INSIDE}")
    summed = f"""
        SELECT customer_id, bigint_sum(cash) AS cash, bigint_sum(fees) AS fees, bigint_sum(direct) AS direct
          FROM ({" UNION ALL ".join(rows)}) AS counted GROUP BY customer_id
        HAVING bigint_sum(payments) <> 0
    """  # noqa: S608 (made of our own column names)
    return summed, values


def foreign(asked: Range, due: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The same in other currencies, in minor units by customer, currency and day."""
    summed = f"""
        SELECT customer_id, currency, day, bigint_sum(amount) AS cash, bigint_sum(fee) AS fees,
               bigint_sum({_DIRECT}) AS direct
          FROM ({payments.rows(due)}) AS payments
         WHERE customer_id IS NOT NULL AND currency <> 'usd' GROUP BY 1, 2, 3
    """  # noqa: S608
    return summed, {"zone": asked.zone.key, "start": asked.start, "end": asked.end, "due": list(due)}


def who_paid(session: Session, due: Sequence[str]) -> Payers:
    """All who ever paid. The caller has begun a snapshot."""
    return payers.of(session, list(session.scalars(WORKED_OUT_PAYERS, {"due": list(due)})) if due else [])


def _read(asked: Range) -> tuple[list[date], list[Interval], list[Interval]]:
    """The months to add up, and the intervals to add and to take away."""
    first = (asked.start.astimezone(UTC) + DAY - datetime.resolution).date()
    until = asked.end.astimezone(UTC).date()
    if first >= until:
        return [], [(asked.start, asked.end)], []
    read = blocks.fewest([(first, until)], asked.now.astimezone(UTC).date(), (blocks.MONTHS, blocks.DAYS))
    months = [block.since for block in read if block.period == "month"]
    days = [(one.taken, (_midnight(one.since), _midnight(one.until))) for one in read if one.period == "day"]
    added, taken = ([interval for was, interval in days if was is which] for which in (False, True))
    edges = (asked.start, _midnight(first)), (_midnight(until), asked.end)
    return months, added + [one for one in edges if one[0] < one[1]], taken


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
