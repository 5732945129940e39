"""What must hold of the sums that revenue is read from: paid credits by day, payments, balance transactions."""

from __future__ import annotations

from collections.abc import Sequence

from makegood.models.recognised import CREDIT_MEASURES
from makegood.revenue import payments
from makegood.revenue.recognised import BY_CUSTOMER, BY_DAY, DOLLARS, FACTS, MONTH, PRICE, QUARTER

_FACTS = FACTS.replace(":zone", "(SELECT timezone FROM recognised_state)")


def _counted(table: str, keys: Sequence[str]) -> str:
    """Ledger rows up to the number that is counted, against the table that counts them."""
    columns = ", ".join(("day", *keys, *PRICE))
    return f"""
        SELECT concat_ws(' ', {columns}), format('ledger %s, counted %s', l.credits, k.credits)
          FROM (WITH due AS (SELECT customer_id, 0 AS since, entries AS until FROM recognised_progress
                              WHERE entries > 0)
                SELECT {columns}, ARRAY[{", ".join(f"sum({name})::bigint" for name in CREDIT_MEASURES)}] AS credits
                  FROM ({_FACTS}) AS facts GROUP BY {columns}) AS l
          FULL JOIN (SELECT {columns}, ARRAY[{", ".join(CREDIT_MEASURES)}] AS credits FROM {table}) AS k
            USING ({columns})
         WHERE l.credits IS DISTINCT FROM k.credits"""  # noqa: S608 (made of our own column names)


def _summed(table: str, period: str, of: str) -> str:
    """A period's credits in US dollars, against those of its days."""
    columns = ", ".join((period, *BY_CUSTOMER, *PRICE))
    sums = ", ".join(f"sum({name})::bigint" for name in CREDIT_MEASURES)
    return f"""
        SELECT concat_ws(' ', {columns}), format('days %s, kept %s', d.credits, k.credits)
          FROM (SELECT {of} AS {period}, {", ".join((*BY_CUSTOMER, *PRICE))}, ARRAY[{sums}] AS credits
                  FROM recognised_customer_days WHERE {DOLLARS}
                 GROUP BY {of}, {", ".join((*BY_CUSTOMER, *PRICE))}) AS d
          FULL JOIN (SELECT {columns}, ARRAY[{", ".join(CREDIT_MEASURES)}] AS credits FROM {table}) AS k
            USING ({columns})
         WHERE d.credits IS DISTINCT FROM k.credits"""  # noqa: S608 (made of our own column names)


CHECKS = {
    "paid credits of a customer's day are what the ledger moved": _counted(
        "recognised_customer_days", BY_CUSTOMER
    ),
    "paid credits of a day by provider are what the ledger moved": _counted("recognised_days", BY_DAY),
    "a month of paid credits is its days": _summed("recognised_customer_months", "month", MONTH),
    "a quarter of a month of paid credits is its days": _summed(
        "recognised_customer_quarters", "quarter", QUARTER
    ),
    "a month's payments of a customer are its payments": """
        SELECT concat_ws(' ', month, customer_id, currency), format('payments %s, kept %s', p.sums, k.sums)
          FROM (SELECT CAST(date_trunc('month', created_at AT TIME ZONE 'UTC') AS date) AS month, customer_id,
                       currency, ARRAY[count(*), sum(amount), sum(fee),
                                       coalesce(sum(amount) FILTER (WHERE NOT for_credits), 0)] AS sums
                  FROM payments WHERE customer_id IS NOT NULL GROUP BY 1, 2, 3) AS p
          FULL JOIN (SELECT month, customer_id, currency,
                            CAST(ARRAY[payments, cash, fees, direct] AS numeric[]) AS sums
                       FROM payment_months) AS k USING (month, customer_id, currency)
         WHERE coalesce(p.sums, '{0,0,0,0}') <> coalesce(k.sums, '{0,0,0,0}')""",
    "payers are those who bought credits, or of whom payments are known": """
        SELECT customer_id, format('bought %s, %s payments; kept %s, %s', b.customer_id IS NOT NULL, p.payments,
                                   k.purchased, k.payments)
          FROM (SELECT customer_id FROM recognised_progress) AS b
          FULL JOIN (SELECT customer_id, count(*) AS payments FROM payments
                      WHERE customer_id IS NOT NULL GROUP BY 1) AS p USING (customer_id)
          FULL JOIN payers AS k USING (customer_id)
         WHERE (b.customer_id IS NOT NULL, coalesce(p.payments, 0))
               <> (coalesce(k.purchased, false), coalesce(k.payments, 0))""",
    "payments are what Stripe's lists and our purchases make of them, once nothing is due": f"""
        SELECT id, format('worked out %s, kept %s', w.payment, p.payment)
          FROM (SELECT id, w AS payment FROM ({payments.WORKED_OUT}) AS w) AS w
          FULL JOIN (SELECT id, p AS payment FROM payments p) AS p USING (id)
         WHERE to_jsonb(w.payment) IS DISTINCT FROM to_jsonb(p.payment)
           AND NOT EXISTS (SELECT FROM payments_due)""",  # noqa: S608 (made of our own column names)
    "the sums of balance transactions are those of the transactions": """
        SELECT format('%s %s', currency, category), format('at %s transactions %s/%s/%s, sums %s/%s/%s', bucket,
                      t.transactions, t.amount, t.fee, s.transactions, s.amount, s.fee)
          FROM (SELECT date_bin('15 minutes', created_at, timestamptz '2000-01-01T00:00:00Z') AS bucket, currency,
                       reporting_category AS category, count(*) AS transactions, sum(amount) AS amount,
                       sum(fee) AS fee
                  FROM stripe_balance_transactions GROUP BY 1, 2, 3) AS t
          FULL JOIN (SELECT bucket, currency, reporting_category AS category, sum(transactions) AS transactions,
                            sum(amount) AS amount, sum(fee) AS fee
                       FROM balance_sums GROUP BY 1, 2, 3) AS s USING (bucket, currency, category)
         WHERE (coalesce(t.transactions, 0), coalesce(t.amount, 0), coalesce(t.fee, 0))
               <> (coalesce(s.transactions, 0), coalesce(s.amount, 0), coalesce(s.fee, 0))""",
}
"""Each rule as a sentence, and the query that finds what breaks it: subject, and what was found."""
