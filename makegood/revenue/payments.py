"""Payments at Stripe, with the refunds and disputes of each: whose they are, and whether they bought credits.

What was paid for credits is recognised as they are used. Every other payment, as for a subscription that gives no
credits here, is recognised when it moves, with tax and not spread over its period.

Whose a payment is, and for what, is said by seven lists that are read in any order. It is worked out once and kept
as `payments`: a fold brings those in line of which something changed, and until then a reader works them out
himself, in the same snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from sqlalchemy import ARRAY, Text, bindparam, text
from sqlalchemy.orm import Session

from makegood.instants import once
from makegood.ranges import Range
from makegood.revenue import rates
from makegood.revenue.rates import Converted

AT_ONCE = 2000
SOME = bindparam("due", type_=ARRAY(Text))

# As Stripe's lists and our purchases have them: for some sources by their indexes.
WORKED_OUT = """
    SELECT b.id, coalesce(b.source, b.id) AS source, b.created_at, b.currency, b.amount, b.fee, c.customer_id,
           EXISTS (SELECT FROM stripe_checkout_sessions s
                     JOIN purchases p ON p.source_kind = 'checkout_session' AND p.source_id = s.id
                    WHERE s.payment_intent = c.payment_intent)
           OR EXISTS (SELECT FROM stripe_invoice_payments i
                        JOIN purchases p ON p.source_kind = 'invoice' AND p.source_id = i.invoice_id
                       WHERE i.payment_intent = c.payment_intent)
           OR EXISTS (SELECT FROM stripe_invoice_payments i
                        JOIN purchases p ON p.source_kind = 'invoice' AND p.source_id = i.invoice_id
                       WHERE i.charge_id = c.id) AS for_credits
      FROM stripe_balance_transactions b
      LEFT JOIN stripe_refunds r ON r.id = b.source
      LEFT JOIN stripe_disputes d ON d.id = b.source
      LEFT JOIN stripe_charges c ON c.id = coalesce(r.charge_id, d.charge_id, b.source)
     WHERE b.reporting_category IN ('charge', 'charge_failure', 'partial_capture_reversal', 'refund',
                                    'refund_failure', 'dispute', 'dispute_reversal')
"""
OF_SOURCES = f"""
    {WORKED_OUT} AND (b.source = ANY(:due) OR b.source IS NULL AND b.id = ANY(:due))
"""
# A key is the id of a charge, a refund, a dispute, a payment intent, a checkout session or an invoice.
_SOURCES = """
    intents AS (
        SELECT key AS id FROM keys
         UNION SELECT s.payment_intent FROM keys JOIN stripe_checkout_sessions s ON s.id = key
         UNION SELECT i.payment_intent FROM keys JOIN stripe_invoice_payments i ON i.invoice_id = key
    ), charges AS (
        SELECT key AS id FROM keys
         UNION SELECT i.charge_id FROM keys JOIN stripe_invoice_payments i ON i.invoice_id = key
         UNION SELECT c.id FROM intents JOIN stripe_charges c ON c.payment_intent = intents.id
    ), sources AS (
        SELECT id FROM charges WHERE id IS NOT NULL
         UNION SELECT r.id FROM charges JOIN stripe_refunds r ON r.charge_id = charges.id
         UNION SELECT d.id FROM charges JOIN stripe_disputes d ON d.charge_id = charges.id
    )
    SELECT id FROM sources
"""
DUE = text(f"WITH keys AS (SELECT DISTINCT key FROM payments_due), {_SOURCES}")  # noqa: S608
TAKE_DUE = text(
    "DELETE FROM payments_due WHERE id IN (SELECT id FROM payments_due ORDER BY id LIMIT :limit) RETURNING key"
)
SOURCES = text(f"WITH keys AS (SELECT DISTINCT unnest(:keys) AS key), {_SOURCES}").bindparams(
    bindparam("keys", type_=ARRAY(Text))
)
# Who sells to newcomers locks their rows of `payers`, in an order of their own. A fold waits until they have
# ended, while it has nothing that they need; then they wait for it.
ONE_AT_A_TIME = text("LOCK TABLE payments, payers IN SHARE ROW EXCLUSIVE MODE")
FOLD = text(
    f"""
    WITH found AS MATERIALIZED ({OF_SOURCES}),
         gone AS (DELETE FROM payments WHERE source = ANY(:due) AND id NOT IN (SELECT id FROM found))
    INSERT INTO payments (id, source, created_at, currency, amount, fee, customer_id, for_credits)
    SELECT id, source, created_at, currency, amount, fee, customer_id, for_credits FROM found ORDER BY created_at
    ON CONFLICT (id) DO UPDATE
       SET (source, created_at, currency, amount, fee, customer_id, for_credits) =
           (excluded.source, excluded.created_at, excluded.currency, excluded.amount, excluded.fee,
            excluded.customer_id, excluded.for_credits)
    """  # noqa: S608
).bindparams(SOME)

_COLUMNS = "created_at, currency, amount, fee, customer_id, for_credits"
_KEPT = f"SELECT {_COLUMNS} FROM payments WHERE source <> ALL(:due)"  # noqa: S608 (made of our own column names)
_ALL = f"{_KEPT} UNION ALL SELECT {_COLUMNS} FROM ({OF_SOURCES}) AS worked_out"  # noqa: S608
SUMS = "SELECT day, currency, bigint_sum(amount) FROM ({payments}) AS payments WHERE {which} GROUP BY 1, 2"


def rows(due: Sequence[str]) -> str:
    """The payments of a range as SQL: day, currency, amount, fee, customer_id, for_credits.

    To plan how those that are `due` are worked out takes longer than to read all others: it is left out where
    there are none.
    """
    return f"""
        SELECT CAST(created_at AT TIME ZONE :zone AS date) AS day, currency, amount, fee, customer_id, for_credits
          FROM ({_ALL if due else _KEPT}) AS payments WHERE created_at >= :start AND created_at < :end
    """  # noqa: S608


def fold(session: Session, *, limit: int = AT_ONCE) -> int:
    """Bring in line what at most `limit` changes were about; one fold at a time. Returns how many there were."""
    session.execute(ONE_AT_A_TIME)
    keys = list(session.scalars(TAKE_DUE, {"limit": limit}))
    if keys:
        session.execute(FOLD, {"due": list(session.scalars(SOURCES, {"keys": keys}))})
    return len(keys)


def for_credits(session: Session, asked: Range) -> Iterator[tuple[date, str, int]]:
    """What moved of payments for credits, less refunds and disputes: by day and currency, in minor units."""
    return _sums(session, "for_credits", asked)


def unlinked(session: Session, asked: Range) -> Converted:
    """What moved of payments that belong to no customer of ours."""
    table = rates.between(session, asked.first, asked.last)
    found = _sums(session, "customer_id IS NULL", asked)
    return rates.in_usd(table, ((currency, day, amount) for day, currency, amount in found))


def due(session: Session) -> list[str]:
    """The sources of the payments that are not in line with what changed."""
    return once(session, "payments due", lambda: list(session.scalars(DUE)))


def _sums(session: Session, which: str, asked: Range) -> Iterator[tuple[date, str, int]]:
    found = due(session)
    statement = text(SUMS.format(payments=rows(found), which=which)).bindparams(SOME)
    values = {"zone": asked.zone.key, "start": asked.start, "end": asked.end, "due": found}
    return ((row[0], row[1], row[2]) for row in session.execute(statement, values))
