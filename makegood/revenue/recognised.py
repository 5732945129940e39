"""Rollups of paid credits by day: what was sold, and what became of it, by the price that was paid.

A customer's ledger rows are numbered without gaps, and whoever writes one holds the customer's balance. So the
number up to which rows are counted, kept for each customer, says exactly what is still to be added: a fold adds it
to the rollups, and until then a reader adds it himself, in the same snapshot. Days are those of the reporting time
zone; when that changes, what is there no longer counts, and folds begin again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Date, Row, bindparam, text
from sqlalchemy.orm import Session

from makegood.models.recognised import CREDIT_MEASURES
from makegood.revenue import lots
from makegood.revenue.lots import Value

AT_ONCE = 2000
PRICE = ("currency", "price_amount", "price_credits")
BY_DAY = ("provider", "model", "tier")
BY_CUSTOMER = ("customer_id",)

DUE = """
    SELECT customer_id, CASE WHEN :valid THEN p.entries ELSE 0 END AS since, b.entries AS until
      FROM recognised_progress p JOIN balances b USING (customer_id)
     WHERE b.entries > CASE WHEN :valid THEN p.entries ELSE 0 END
"""
# Each customer's ledger rows are found by their numbers, whatever the planner thinks of how many are due.
# Credits that a grant gave are sold; what its other ledger rows take from it became of them, less what came back.
FACTS = """
    SELECT CAST(t.occurred_at AT TIME ZONE :zone AS date) AS day, t.customer_id, coalesce(g.provider, '') AS provider,
           coalesce(g.model, '') AS model, coalesce(g.tier, '') AS tier, p.currency,
           p.amount / gcd(p.amount, p.credits) AS price_amount, p.credits / gcd(p.amount, p.credits) AS price_credits,
           CASE WHEN t.kind = 'grant' THEN m.credits ELSE 0 END AS sold,
           CASE WHEN t.kind IN ('charge', 'refund', 'reversal') THEN -m.credits ELSE 0 END AS used,
           CASE WHEN t.kind = 'expiry' THEN -m.credits ELSE 0 END AS expired,
           CASE WHEN t.kind IN ('clawback', 'restoration') THEN -m.credits ELSE 0 END AS clawed,
           CASE WHEN t.kind = 'adjustment' THEN -m.credits ELSE 0 END AS adjusted
      FROM due
      JOIN LATERAL (SELECT * FROM credit_transactions t
                     WHERE t.customer_id = due.customer_id AND t.entry > since AND t.entry <= until OFFSET 0) AS t ON true
      JOIN movements m ON m.transaction_id = t.id
      JOIN grants lot ON lot.id = m.grant_id
      JOIN purchases p ON p.id = lot.purchase_id
      LEFT JOIN generations g ON g.id = t.generation_id
"""  # noqa: E501


def _add(table: str, keys: Sequence[str], period: str = "day", of: str = "day", only: str = "true") -> str:
    columns = ", ".join((period, *keys, *PRICE))
    sums = ", ".join(f"sum({name})" for name in CREDIT_MEASURES)
    more = ", ".join(f"{name} = rollup.{name} + excluded.{name}" for name in CREDIT_MEASURES)
    return f"""
        INSERT INTO {table} AS rollup ({columns}, {", ".join(CREDIT_MEASURES)})
        SELECT {", ".join((f"{of} AS {period}", *keys, *PRICE))}, {sums} FROM facts WHERE {only}
         GROUP BY {", ".join(str(number + 1) for number in range(1 + len(keys) + len(PRICE)))} ORDER BY {columns}
        ON CONFLICT ({columns}) DO UPDATE SET {more}"""  # noqa: S608 (made of our own column names)


MONTH = "CAST(date_trunc('month', day) AS date)"
QUARTER = "quarter_of_month(day)"
DOLLARS = "currency = 'usd'"
GONE = "used + expired + clawed + adjusted"
"""The credits of a row that became revenue."""

FOLD = text(
    f"""
    WITH due AS MATERIALIZED ({DUE} ORDER BY customer_id LIMIT :limit),
         facts AS MATERIALIZED ({FACTS}),
         days AS ({_add("recognised_days", BY_DAY)}),
         customers AS ({_add("recognised_customer_days", BY_CUSTOMER)}),
         months AS ({_add("recognised_customer_months", BY_CUSTOMER, "month", MONTH, DOLLARS)}),
         quarters AS ({_add("recognised_customer_quarters", BY_CUSTOMER, "quarter", QUARTER, DOLLARS)}),
         rated AS (DELETE FROM rated_quarters
                    WHERE quarter IN (SELECT {QUARTER} FROM facts WHERE NOT {DOLLARS}))
    UPDATE recognised_progress p SET entries = due.until FROM due WHERE p.customer_id = due.customer_id
    """  # noqa: S608
)
ZONE = text("SELECT timezone FROM recognised_state")
LOCK_ZONE = text("SELECT timezone FROM recognised_state FOR UPDATE")
BEGIN_AGAIN = (
    text("DELETE FROM recognised_days"),
    text("DELETE FROM recognised_customer_days"),
    text("DELETE FROM recognised_customer_months"),
    text("DELETE FROM recognised_customer_quarters"),
    text("DELETE FROM rated_quarters"),
    text("UPDATE recognised_progress SET entries = 0"),
    text("UPDATE recognised_state SET timezone = :zone"),
)


def fold(session: Session, timezone: ZoneInfo, *, limit: int = AT_ONCE) -> int:
    """Count what is due of at most `limit` customers; one fold at a time. Returns how many customers it met."""
    values = {"zone": timezone.key, "valid": True, "limit": limit}
    if session.scalar(LOCK_ZONE) != timezone.key:
        for statement in BEGIN_AGAIN:
            session.execute(statement, values)
    return int(session.execute(FOLD, values).rowcount)  # type: ignore[attr-defined]


def read(
    session: Session, timezone: ZoneInfo, first: date, last: date, keys: Sequence[str] = ()
) -> Sequence[Row[Any]]:
    """Credits of the days from `first` to `last`, by these keys and the price: see CREDIT_MEASURES.

    Keys are of `day`, `provider`, `model` and `tier`, or of `day` and `customer_id`. RATED instead of the day is
    the day whose exchange rate counts. The caller has begun a snapshot.
    """
    return session.execute(text(f"{BEGIN} {summed(keys)}"), parameters(session, timezone, first, last)).all()


RATED = "rated"
"""The day of an amount in another currency; the first day for US dollars, which need no rate."""
BEGIN = f"WITH due AS MATERIALIZED ({DUE})"
"""How a statement begins that has `summed` in it."""


def summed(keys: Sequence[str]) -> str:
    """Credits by these keys and the price, folded and not folded yet, as SQL."""
    table = "recognised_customer_days" if "customer_id" in keys else "recognised_days"
    rated = f"CASE currency WHEN 'usd' THEN CAST(:first AS date) ELSE day END AS {RATED}"
    listed = ", ".join((*(rated if key == RATED else key for key in keys), *PRICE, *CREDIT_MEASURES))
    inside = "day BETWEEN CAST(:first AS date) AND CAST(:last AS date)"
    columns = ", ".join((*keys, *PRICE))
    sums = ", ".join(f"bigint_sum({name}) AS {name}" for name in CREDIT_MEASURES)
    return f"""
        SELECT {columns}, {sums}
          FROM (SELECT {listed} FROM {table} WHERE :valid AND {inside}
                 UNION ALL
                SELECT {listed} FROM ({FACTS}) AS facts WHERE {inside}) AS counted
         GROUP BY {columns}"""  # noqa: S608 (made of our own column names)


def parameters(session: Session, timezone: ZoneInfo, first: date, last: date) -> dict[str, object]:
    """The parameters of `summed`."""
    valid = session.scalar(ZONE) == timezone.key
    return {"zone": timezone.key, "valid": valid, "first": first, "last": last}


def moved_back(*keys: str) -> str:
    """Money for credits that went back, as SQL with the parameters `zone`, `first` and `last`: by these keys (day,
    customer_id, currency) the sum `returned`, of which `amount` in `paid` were for credits.

    Of a payment for credits alone the share is 1: grouped as that, hardly a fraction is left to be added.
    """
    grouped = ", ".join(str(number + 1) for number in range(len(keys) + 2))
    return f"""
    SELECT {", ".join(keys)}, CASE WHEN amount = paid THEN 1 ELSE amount END AS amount,
           CASE WHEN amount = paid THEN 1 ELSE paid END AS paid, bigint_sum(returned) AS returned
      FROM (SELECT CAST(c.occurred_at AT TIME ZONE :zone AS date) AS day, c.customer_id, p.currency, p.amount,
                   p.paid, c.amount AS returned
              FROM clawbacks c JOIN purchases p ON p.id = c.purchase_id WHERE c.amount <> 0) AS facts
     WHERE day BETWEEN :first AND :last
     GROUP BY {grouped}
    """  # noqa: S608 (made of our own column names)


def returned(
    session: Session, timezone: ZoneInfo, first: date, last: date, *keys: str
) -> dict[tuple[Any, ...], Fraction]:
    """What went back of the money for credits, less what came back, by these keys (day, customer_id, currency).

    Of a payment for credits and other things as well, or with tax, the credits' share of it.
    """
    days = (bindparam(name, type_=Date) for name in ("first", "last"))
    statement = text(moved_back(*keys)).bindparams(*days)
    sums: defaultdict[tuple[Any, ...], Fraction] = defaultdict(Fraction)
    values = {"zone": timezone.key, "first": first, "last": last}
    for *key, amount, paid, back in session.execute(statement, values):
        sums[tuple(key)] += Fraction(amount * back, paid)
    return dict(sums)


def values(
    session: Session, timezone: ZoneInfo, first: date, last: date, *keys: str
) -> dict[tuple[Any, ...], Value]:
    """What became of paid credits and of the money for them, by these keys (day, customer_id, currency)."""
    found = lots.values(read(session, timezone, first, last, [key for key in keys if key not in PRICE]), *keys)
    for key, amount in returned(session, timezone, first, last, *keys).items():
        found[key] = replace(found.get(key, Value()), returned=amount)
    return found


def by_currency(session: Session, timezone: ZoneInfo, first: date, last: date) -> dict[str, Value]:
    """The same of all of it, in each currency."""
    return {key: value for (key,), value in values(session, timezone, first, last, "currency").items()}
