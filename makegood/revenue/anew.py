"""The sums that revenue is read from, made anew from what they are sums of: all of them in one transaction."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.revenue import payments, recognised

FORGET_PAYMENTS = (
    text("DELETE FROM payments"),
    text("DELETE FROM payment_months"),
    text(
        "UPDATE payers SET payments = 0, purchased = customer_id IN (SELECT customer_id FROM recognised_progress)"
    ),
    text(
        """
        INSERT INTO payers (customer_id, purchased) SELECT customer_id, true FROM recognised_progress
        ON CONFLICT DO NOTHING
        """
    ),
    text("INSERT INTO payments_due (key) SELECT coalesce(source, id) FROM stripe_balance_transactions"),
)
"""Triggers on payments count the months and payers again as they come back."""
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


def rebuild(session: Session, timezone: ZoneInfo) -> None:
    """Count what became of paid credits, work out all payments, and correct the sums of balance transactions."""
    session.execute(payments.ONE_AT_A_TIME)
    for statement in FORGET_PAYMENTS:
        session.execute(statement)
    while payments.fold(session):
        pass
    session.execute(recognised.LOCK_ZONE)
    for statement in recognised.BEGIN_AGAIN:
        session.execute(statement, {"zone": timezone.key})
    while recognised.fold(session, timezone):
        pass
    session.execute(ONE_AT_A_TIME)
    session.execute(CORRECT_BALANCES)
