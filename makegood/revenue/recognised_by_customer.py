"""What became of each customer's paid credits in a range, by the price that was paid for them.

Those that cost US dollars are read by months, by quarters of a month and by days, the fewest rows: `stats.blocks`.
In another currency every day has its own rate, so they are read by days.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from makegood.calendars import local_day
from makegood.ranges import DAY, Range
from makegood.revenue import recognised
from makegood.revenue.recognised import FACTS, PRICE
from makegood.stats import blocks
from makegood.terms import Terms

_GONE = "used + expired + clawed + adjusted"
_PRICE = ", ".join(name for name in PRICE if name != "currency")
_INSIDE = "day BETWEEN CAST(:first AS date) AND CAST(:last AS date)"
BEGIN = f"{recognised.BEGIN}, facts AS MATERIALIZED (SELECT * FROM ({FACTS}) AS all_facts WHERE {_INSIDE})"  # noqa: S608
"""How a statement begins that has one of these in it."""


FOREIGN = f"""
    SELECT customer_id, currency, day, {_PRICE}, {_GONE} AS credits
      FROM recognised_customer_days WHERE :valid AND currency <> 'usd' AND {_INSIDE}
     UNION ALL
    SELECT customer_id, currency, day, {_PRICE}, {_GONE} FROM facts WHERE currency <> 'usd'
"""  # noqa: S608
"""Of those that cost another currency: by day as well, and not added up."""


def dollars(terms: Terms, asked: Range) -> tuple[str, dict[str, object]]:
    """Credits that became revenue, of those that cost US dollars, as SQL with its parameters (and `valid`): by
    customer and price."""
    read = blocks.joined(blocks.fewest([(asked.first, asked.last + DAY)], local_day(asked.now, terms.timezone)))
    rows = [f"SELECT customer_id, {_PRICE}, {_GONE} AS credits FROM facts WHERE currency = 'usd'"]  # noqa: S608 (made of our own column names)
    values: dict[str, object] = {}
    for number, block in enumerate(read):
        gone = f"-({_GONE})" if block.taken else _GONE
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


def parameters(session: Session, terms: Terms, asked: Range) -> dict[str, object]:
    """The parameters of BEGIN and FOREIGN."""
    return recognised.parameters(session, terms.timezone, asked.first, asked.last)
