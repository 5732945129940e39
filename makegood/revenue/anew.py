"""The sums that revenue is read from, made anew from what they are sums of.

Figures stay exact meanwhile: what is not counted yet readers add themselves, in the same snapshot.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.revenue import payments, recognised

FORGET_PAYMENTS = (
    text("DELETE FROM payments"),
    text("INSERT INTO payments_due (key) SELECT coalesce(source, id) FROM stripe_balance_transactions"),
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


def begin(session: Session, timezone: ZoneInfo) -> None:
    """Forget what is counted of paid credits and kept of payments, and correct the sums of balance transactions.

    `payments.fold` and `recognised.fold` count from the beginning then.
    """
    session.execute(payments.ONE_AT_A_TIME)
    for statement in FORGET_PAYMENTS:
        session.execute(statement)
    session.execute(recognised.LOCK_ZONE)
    for statement in recognised.BEGIN_AGAIN:
        session.execute(statement, {"zone": timezone.key})
    session.execute(ONE_AT_A_TIME)
    session.execute(CORRECT_BALANCES)
