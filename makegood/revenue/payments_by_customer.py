"""What each customer's payments of a range come to.

US dollars are read by months of UTC, and payment by payment where a month is not covered: see `stats.blocks`.
In another currency every day has its own rate, so those are read one by one.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood import payers
from makegood.payers import Payers
from makegood.ranges import DAY, Range
from makegood.revenue.payments import OF_SOURCES, PAYMENTS, SOME
from makegood.stats import blocks

Interval = tuple[datetime, datetime]
_DIRECT = "CASE WHEN for_credits THEN 0 ELSE amount END"
_THEIRS = "customer_id IS NOT NULL AND currency = 'usd'"
_INSIDE = "created_at >= :start AND created_at < :end"


def _pieces(name: str, sign: str = "") -> str:
    since, until = (f"CAST(:paid_{name}_{end} AS timestamptz[])" for end in ("since", "until"))
    return f"""
        SELECT customer_id, {sign}amount, {sign}fee, {sign}{_DIRECT}
          FROM unnest({since}, {until}) AS pieces (since, until)
          JOIN payments ON created_at >= since AND created_at < until WHERE {_THEIRS}
    """  # noqa: S608 (made of our own column names)


DOLLARS = f"""
    SELECT customer_id, bigint_sum(cash) AS cash, bigint_sum(fees) AS fees, bigint_sum(direct) AS direct
      FROM (SELECT customer_id, cash, fees, direct FROM payment_months
             WHERE currency = 'usd' AND month = ANY(CAST(:paid_months AS date[]))
             UNION ALL {_pieces("added")} UNION ALL {_pieces("taken", "-")}
             UNION ALL
            SELECT customer_id, -amount, -fee, -{_DIRECT} FROM payments
             WHERE {_THEIRS} AND {_INSIDE} AND source = ANY(:due)
             UNION ALL
            SELECT customer_id, amount, fee, {_DIRECT} FROM ({OF_SOURCES}) AS worked_out
             WHERE {_THEIRS} AND {_INSIDE}) AS counted
     GROUP BY customer_id
"""  # noqa: S608
"""What was paid in US dollars, as SQL, in cents by customer: `cash` that moved, Stripe's `fees`, and the cash that
bought no credits, `direct`."""
FOREIGN = f"""
    SELECT customer_id, currency, day, bigint_sum(amount) AS cash, bigint_sum(fee) AS fees,
           bigint_sum({_DIRECT}) AS direct
      FROM ({PAYMENTS}) AS payments WHERE customer_id IS NOT NULL AND currency <> 'usd' GROUP BY 1, 2, 3
"""  # noqa: S608
"""The same in other currencies, in minor units by customer, currency and day."""
WORKED_OUT_PAYERS = text(
    f"SELECT DISTINCT customer_id FROM ({OF_SOURCES}) AS worked_out WHERE customer_id IS NOT NULL"  # noqa: S608
).bindparams(SOME)


def parameters(asked: Range, due: list[str]) -> dict[str, object]:
    """Their parameters; `due` are the payments that are not in line with what changed."""
    months, added, taken = _read(asked)
    pieces: dict[str, object] = {"paid_months": months}
    for name, intervals in (("added", added), ("taken", taken)):
        pieces |= {
            f"paid_{name}_{end}": [one[at] for one in intervals] for at, end in enumerate(("since", "until"))
        }
    return {"zone": asked.zone.key, "start": asked.start, "end": asked.end, "due": due, **pieces}


def who_paid(session: Session, due: list[str]) -> Payers:
    """All who ever paid. The caller has begun a snapshot."""
    return payers.of(session, list(session.scalars(WORKED_OUT_PAYERS, {"due": due})) if due else [])


def _read(asked: Range) -> tuple[list[date], list[Interval], list[Interval]]:
    """The months to add up, and the intervals to add and to take away."""
    first = (asked.start.astimezone(UTC) + DAY - datetime.resolution).date()
    until = asked.end.astimezone(UTC).date()
    if first >= until:
        return [], [(asked.start, asked.end)], []
    read = blocks.fewest([(first, until)], asked.now.astimezone(UTC).date(), (blocks.MONTHS, blocks.DAYS))
    months = [block.since for block in read if block.period == "month"]
    days = [block for block in read if block.period == "day"]
    added, taken = (
        [(_midnight(one.since), _midnight(one.until)) for one in days if one.taken is which]
        for which in (False, True)
    )
    edges = (asked.start, _midnight(first)), (_midnight(until), asked.end)
    return months, added + [one for one in edges if one[0] < one[1]], taken


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
