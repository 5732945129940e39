"""What became of each customer's paid credits in a range, by the price that was paid for them.

Those that cost US dollars are read by months, by quarters of a month and by days, the fewest rows: `stats.blocks`.
In another currency every day has its own rate: they are read by days, but where a quarter is `rated` already.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy.orm import Session

from makegood.calendars import local_day, next_quarter
from makegood.ranges import DAY, Range
from makegood.revenue import recognised
from makegood.revenue.recognised import FACTS, GONE, PRICE
from makegood.stats import blocks
from makegood.terms import Terms

_PRICE = ", ".join(name for name in PRICE if name != "currency")
_INSIDE = "day BETWEEN CAST(:first AS date) AND CAST(:last AS date)"
BEGIN = f"{recognised.BEGIN}, facts AS MATERIALIZED (SELECT * FROM ({FACTS}) AS all_facts WHERE {_INSIDE})"  # noqa: S608
"""How a statement begins that has one of these in it."""


def dollars(terms: Terms, asked: Range) -> tuple[str, dict[str, object]]:
    """Credits that became revenue, of those that cost US dollars, as SQL with its parameters (and `valid`): by
    customer and price."""
    read = blocks.joined(blocks.fewest([(asked.first, asked.last + DAY)], local_day(asked.now, terms.timezone)))
    rows = [f"SELECT customer_id, {_PRICE}, {GONE} AS credits FROM facts WHERE currency = 'usd'"]  # noqa: S608 (made of our own column names)
    values: dict[str, object] = {}
    for number, block in enumerate(read):
        gone = f"-({GONE})" if block.taken else GONE
        inside = f"{block.period} >= :sold_since_{number} AND {block.period} < :sold_until_{number}"
        rows.append(
            f"SELECT customer_id, {_PRICE}, {gone} FROM recognised_customer_{block.period}s"  # noqa: S608
            f" WHERE :valid AND currency = 'usd' AND {inside}"
        )
        values |= {f"sold_since_{number}": block.since, f"sold_until_{number}": block.until}
    summed = f"""
        SELECT customer_id, {_PRICE}, bigint_sum(credits) AS credits FROM ({" UNION ALL ".join(rows)}) AS counted
         GROUP BY customer_id, {_PRICE}
    """  # noqa: S608
    return summed, values


def foreign(asked: Range, rated: Sequence[date]) -> tuple[str, dict[str, object]]:
    """Of those that cost another currency: by day as well, and not added up, but for the quarters of a month that
    are `rated` already."""
    days = f"SELECT customer_id, currency, day, {_PRICE}, {GONE} AS credits FROM"
    rows = [f"{days} facts WHERE currency <> 'usd'"]
    values: dict[str, object] = {}
    for number, (since, until) in enumerate(_between(asked, rated)):
        inside = f"day >= :abroad_since_{number} AND day < :abroad_until_{number}"
        rows.append(f"{days} recognised_customer_days WHERE :valid AND currency <> 'usd' AND {inside}")
        values |= {f"abroad_since_{number}": since, f"abroad_until_{number}": until}
    return " UNION ALL ".join(rows), values


def _between(asked: Range, quarters: Sequence[date]) -> list[tuple[date, date]]:
    """The days of a range that are in none of these quarters of a month, which are in order."""
    rated = (day for quarter in quarters for day in (quarter, next_quarter(quarter)))
    ends = [asked.first, *rated, asked.last + DAY]
    return [(since, until) for since, until in zip(ends[::2], ends[1::2], strict=True) if since < until]


def parameters(session: Session, terms: Terms, asked: Range) -> dict[str, object]:
    """The parameters of BEGIN, and `valid`."""
    return recognised.parameters(session, terms.timezone, asked.first, asked.last)
