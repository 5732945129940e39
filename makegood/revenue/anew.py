"""The sums that revenue is read from, made anew from what they are sums of.

Figures stay exact meanwhile: what is not counted yet readers add themselves, in the same snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.revenue import payments, recognised

ALL_DUE = text(
    """
    INSERT INTO payments_due (key)
    SELECT coalesce(source, id) FROM stripe_balance_transactions UNION SELECT source FROM payments
    """
)
CORRECT_PAYERS = (
    text("DELETE FROM payment_months"),
    text(
        """
        INSERT INTO payment_months (month, customer_id, currency, payments, cash, fees, direct)
        SELECT CAST(date_trunc('month', created_at AT TIME ZONE 'UTC') AS date), customer_id, currency, count(*),
               sum(amount), sum(fee), coalesce(sum(amount) FILTER (WHERE NOT for_credits), 0)
          FROM payments WHERE customer_id IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1
        """
    ),
    text("UPDATE payers SET payments = 0, purchased = false WHERE payments <> 0 OR purchased"),
    text(
        """
        INSERT INTO payers (customer_id, purchased, payments)
        SELECT customer_id, bool_or(purchased), sum(payments)
          FROM (SELECT customer_id, true AS purchased, 0 AS payments FROM recognised_progress
                 UNION ALL
                SELECT customer_id, false, 1 FROM payments WHERE customer_id IS NOT NULL) AS paid
         GROUP BY customer_id
        ON CONFLICT (customer_id) DO UPDATE SET purchased = excluded.purchased, payments = excluded.payments
        """
    ),
)
# Sums are never changed: what is wrong with one is added to it. Two corrections at once would add it twice.
ONE_AT_A_TIME = text("LOCK TABLE balance_sums IN SHARE ROW EXCLUSIVE MODE")
CORRECT_BALANCES = text(
    """
    INSERT INTO balance_sums (bucket, currency, reporting_category, transactions, amount, fee)
    SELECT bucket, currency, reporting_category, sum(transactions), sum(amount), sum(fee)
      FROM (SELECT date_bin('15 minutes', created_at, timestamptz '2000-01-01T00:00:00Z') AS bucket, currency,
                   reporting_category, 1 AS transactions, amount, fee
              FROM stripe_balance_transactions
             UNION ALL
            SELECT bucket, currency, reporting_category, -transactions, -amount, -fee FROM balance_sums) AS t
     GROUP BY 1, 2, 3
    HAVING sum(transactions) <> 0 OR sum(amount) <> 0 OR sum(fee) <> 0
    """
)


def rebuild(session: Session, timezone: ZoneInfo) -> Iterator[None]:
    """Work out all payments, count what became of paid credits, and correct the sums of balance transactions.

    Commit whenever it yields: until then nobody who sells to a newcomer goes on.
    """
    session.execute(ALL_DUE)
    yield
    while payments.fold(session):
        yield
    session.execute(payments.ONE_AT_A_TIME)
    for statement in CORRECT_PAYERS:
        session.execute(statement)
    yield
    session.execute(recognised.LOCK_ZONE)
    for statement in recognised.BEGIN_AGAIN:
        session.execute(statement, {"zone": timezone.key})
    yield
    while recognised.fold(session, timezone):
        yield
    session.execute(ONE_AT_A_TIME)
    session.execute(CORRECT_BALANCES)
    yield
