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


def _pieces(period: str, name: str) -> str:
    since, until = (f"CAST(:{period}s_{name}_{end} AS date[])" for end in ("since", "until"))
    return f"""unnest({since}, {until}) AS pieces (since, until)
               JOIN recognised_customer_{period}s ON {period} >= since AND {period} < until
              WHERE :valid AND currency = 'usd'"""


DOLLARS = f"""
    SELECT customer_id, {_PRICE}, bigint_sum(credits) AS credits
      FROM (SELECT customer_id, {_PRICE}, {_GONE} AS credits
              FROM recognised_customer_months WHERE :valid AND month = ANY(CAST(:months AS date[]))
             UNION ALL SELECT customer_id, {_PRICE}, {_GONE} FROM {_pieces("quarter", "added")}
             UNION ALL SELECT customer_id, {_PRICE}, -({_GONE}) FROM {_pieces("quarter", "taken")}
             UNION ALL SELECT customer_id, {_PRICE}, {_GONE} FROM {_pieces("day", "added")}
             UNION ALL SELECT customer_id, {_PRICE}, -({_GONE}) FROM {_pieces("day", "taken")}
             UNION ALL SELECT customer_id, {_PRICE}, {_GONE} FROM facts WHERE currency = 'usd') AS counted
     GROUP BY customer_id, {_PRICE}
"""  # noqa: S608 (made of our own column names)
"""Credits that became revenue, of those that cost US dollars, as SQL: by customer and price."""
FOREIGN = f"""
    SELECT customer_id, currency, day, {_PRICE}, {_GONE} AS credits
      FROM recognised_customer_days WHERE :valid AND currency <> 'usd' AND {_INSIDE}
     UNION ALL
    SELECT customer_id, currency, day, {_PRICE}, {_GONE} FROM facts WHERE currency <> 'usd'
"""  # noqa: S608
"""Of those that cost another currency: by day as well, and not added up."""


def parameters(session: Session, terms: Terms, asked: Range) -> dict[str, object]:
    """Their parameters."""
    days = [(asked.first, asked.last + DAY)]
    read = blocks.fewest(days, local_day(asked.now, terms.timezone))
    months = [block.since for block in read if block.period == "month" and not block.taken]
    pieces: dict[str, object] = {"months": months}
    for period in ("quarter", "day"):
        for name, taken in (("added", False), ("taken", True)):
            found = [block for block in read if block.period == period and block.taken is taken]
            pieces[f"{period}s_{name}_since"] = [one.since for one in found]
            pieces[f"{period}s_{name}_until"] = [one.until for one in found]
    return {**recognised.parameters(session, terms.timezone, asked.first, asked.last), **pieces}
