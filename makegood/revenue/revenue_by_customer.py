"""What each customer paid in a range and what became revenue of it, in micro-dollars at each day's rate.

Cash is what moved at Stripe for charges that are linked to the customer, with the refunds and disputes of those
charges, and the fees are Stripe's on all of them. Recognised is what became revenue of the credits that they had
paid for, and their other payments. What has no rate is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Date, Numeric, Select, Text, bindparam, column, select, text
from sqlalchemy.orm import Session

from makegood.ranges import Range
from makegood.revenue import payments_by_customer, rated, rates, recognised, recognised_by_customer
from makegood.revenue.rates import USD, Rates
from makegood.revenue.recognised_by_customer import BEGIN
from makegood.terms import Terms

MICROS_IN_A_CENT = 10_000


def _sum(name: str) -> str:
    return f"CASE WHEN unrated.{name} THEN NULL ELSE coalesce(rated.{name}, 0) END AS {name}"


_RATED = "CASE currency WHEN 'usd' THEN CAST(:first AS date) ELSE day END"
# With a rate an amount is in micro-dollars at once, and has no currency any more. What has no rate adds up by day:
# where that comes to nothing it needs none.
_UNRATED = "CASE WHEN micros IS NULL THEN currency END AS currency, CASE WHEN micros IS NULL THEN day END AS day"
_MICROS = "coalesce(micros, 1)"
REVENUE = f"""
    {BEGIN}, dollars AS (%(sold)s), paid AS (%(paid)s), paid_abroad AS (%(paid_abroad)s), rate AS (
        SELECT * FROM unnest(:currencies, :days, :rates) AS rate (currency, day, micros)
    ), abroad AS (
        SELECT customer_id, currency, day, price_amount, price_credits, sum(credits) AS credits
          FROM (SELECT customer_id, {_UNRATED}, price_amount, price_credits, credits * {_MICROS} AS credits
                  FROM (%(sold_abroad)s) AS credits LEFT JOIN rate USING (currency, day)
                 UNION ALL
                SELECT customer_id, NULL, NULL, price_amount, price_credits, micros
                  FROM rated_customer_quarters WHERE quarter = ANY(:rated)) AS rated
         GROUP BY 1, 2, 3, 4, 5
    ), returned AS (
        SELECT customer_id, currency, {_RATED} AS day, (amount * returned)::numeric / paid AS amount
          FROM ({recognised.moved_back("day", "customer_id", "currency")}) AS returned
    ), amounts (customer_id, currency, day, cash, fees, recognised, rated) AS MATERIALIZED (
        SELECT customer_id, NULL, CAST(NULL AS date), cash * {MICROS_IN_A_CENT}::numeric,
               fees * {MICROS_IN_A_CENT}::numeric, direct * {MICROS_IN_A_CENT}::numeric, true
          FROM paid
         UNION ALL
        SELECT customer_id, {_UNRATED}, cash * {_MICROS}, fees * {_MICROS}, direct * {_MICROS},
               micros IS NOT NULL
          FROM paid_abroad LEFT JOIN rate USING (currency, day)
         UNION ALL
        SELECT customer_id, NULL, NULL, 0, 0,
               credits * {MICROS_IN_A_CENT}::numeric * price_amount / price_credits, true
          FROM dollars
         UNION ALL
        SELECT customer_id, currency, day, 0, 0, credits * price_amount / price_credits, currency IS NULL
          FROM abroad
         UNION ALL
        SELECT customer_id, {_UNRATED}, 0, 0, -amount * {_MICROS}, micros IS NOT NULL
          FROM returned LEFT JOIN rate USING (currency, day)
    ), rated AS (
        SELECT customer_id, sum(cash) AS cash, sum(fees) AS fees, sum(recognised) AS recognised
          FROM amounts WHERE rated GROUP BY customer_id
    ), unrated AS (
        SELECT customer_id, bool_or(cash <> 0) AS cash, bool_or(fees <> 0) AS fees,
               bool_or(recognised <> 0) AS recognised
          FROM (SELECT customer_id, sum(cash) AS cash, sum(fees) AS fees, sum(recognised) AS recognised
                  FROM amounts WHERE NOT rated GROUP BY customer_id, currency, day) AS net
         GROUP BY customer_id
    ), sums AS (
        SELECT customer_id, {_sum("cash")}, {_sum("fees")}, {_sum("recognised")}
          FROM rated FULL JOIN unrated USING (customer_id)
    )
    SELECT customer_id, round(cash)::bigint AS cash, round(fees)::bigint AS fees,
           round(recognised)::bigint AS recognised, round(cash - fees)::bigint AS cash_left,
           round(recognised - fees)::bigint AS recognised_left FROM sums
"""  # noqa: S608 (made of our own column names)
AMOUNTS = ("cash", "fees", "recognised", "cash_left", "recognised_left")
"""What is said of a customer; `left` is what Stripe's fees leave of it."""
TYPES: dict[str, Any] = {
    "currencies": ARRAY(Text),
    "days": ARRAY(Date),
    "rates": ARRAY(Numeric),
    "due": ARRAY(Text),
    "rated": ARRAY(Date),
}


def each(session: Session, terms: Terms, asked: Range, due: Sequence[str]) -> Select[*tuple[Any, ...]]:
    """`customer_id` and AMOUNTS of those who have any, each rounded once. `due` are the payments that are not in
    line with what changed. The caller has begun a snapshot."""
    table = rates.between(session, asked.first, asked.last)
    values = recognised_by_customer.parameters(session, terms, asked) | _rates(table, asked)
    quarters = rated.read(session, table, asked.first, asked.last) if values["valid"] else []
    values["rated"] = quarters
    parts = {
        "sold": recognised_by_customer.dollars(terms, asked),
        "sold_abroad": recognised_by_customer.foreign(asked, quarters),
        "paid": payments_by_customer.dollars(asked, due),
        "paid_abroad": payments_by_customer.foreign(asked, due),
    }
    for _, more in parts.values():
        values |= more
    statement = text(REVENUE % {name: part for name, (part, _) in parts.items()})
    used = statement.compile().params
    bound = statement.bindparams(*(bindparam(name, values[name], type_=TYPES.get(name)) for name in used))
    columns = bound.columns(column("customer_id", Text), *(column(name, BigInteger) for name in AMOUNTS))
    return select(columns.subquery("revenue"))


def _rates(table: Rates, asked: Range) -> dict[str, Any]:
    """Micro-dollars for a minor unit of each currency on each day that has a rate; one for US dollars."""
    known = rated.micros(table, asked.first, asked.last)
    par = {"currencies": USD, "days": asked.first, "rates": Decimal(MICROS_IN_A_CENT)}
    return {name: [par[name], *listed] for name, listed in known.items()}
