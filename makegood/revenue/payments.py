"""Payments at Stripe, with the refunds and disputes of each: whose they are, and whether they bought credits.

What was paid for credits is recognised as they are used. Every other payment, as for a subscription that gives no
credits here, is recognised when it moves, with tax and not spread over its period.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from makegood.ranges import Range
from makegood.revenue import rates
from makegood.revenue.rates import Converted

# What bought credits is joined as a set: looked up for each payment, it took three times as long.
PAYMENTS = """
    SELECT CAST(b.created_at AT TIME ZONE :zone AS date) AS day, b.currency, b.amount, b.fee, c.customer_id,
           credited.payment_intent IS NOT NULL OR charged.charge_id IS NOT NULL AS for_credits
      FROM stripe_balance_transactions b
      LEFT JOIN stripe_refunds r ON r.id = b.source
      LEFT JOIN stripe_disputes d ON d.id = b.source
      LEFT JOIN stripe_charges c ON c.id = coalesce(r.charge_id, d.charge_id, b.source)
      LEFT JOIN (SELECT s.payment_intent FROM purchases p JOIN stripe_checkout_sessions s ON s.id = p.source_id
                  WHERE p.source_kind = 'checkout_session'
                  UNION
                 SELECT i.payment_intent
                   FROM purchases p JOIN stripe_invoice_payments i ON i.invoice_id = p.source_id
                  WHERE p.source_kind = 'invoice') AS credited ON credited.payment_intent = c.payment_intent
      LEFT JOIN (SELECT DISTINCT i.charge_id
                   FROM purchases p JOIN stripe_invoice_payments i ON i.invoice_id = p.source_id
                  WHERE p.source_kind = 'invoice') AS charged ON charged.charge_id = c.id
     WHERE b.created_at >= :start AND b.created_at < :end
       AND b.reporting_category IN ('charge', 'charge_failure', 'partial_capture_reversal', 'refund',
                                    'refund_failure', 'dispute', 'dispute_reversal')
"""
"""The balance transactions of a range as rows: day, currency, amount, fee, customer_id, for_credits."""

SUMS = """
    SELECT day, currency, sum(amount)::bigint FROM ({payments}) AS payments WHERE {which} GROUP BY 1, 2
"""
FOR_CREDITS = text(SUMS.format(payments=PAYMENTS, which="for_credits"))
UNLINKED = text(SUMS.format(payments=PAYMENTS, which="customer_id IS NULL"))


def for_credits(session: Session, asked: Range) -> Iterator[tuple[date, str, int]]:
    """What moved of payments for credits, less refunds and disputes: by day and currency, in minor units."""
    return _sums(session, FOR_CREDITS, asked)


def unlinked(session: Session, asked: Range) -> Converted:
    """What moved of payments that belong to no customer of ours."""
    table = rates.between(session, asked.first, asked.last)
    found = _sums(session, UNLINKED, asked)
    return rates.in_usd(table, ((currency, day, amount) for day, currency, amount in found))


def _sums(session: Session, statement: TextClause, asked: Range) -> Iterator[tuple[date, str, int]]:
    values = {"zone": asked.zone.key, "start": asked.start, "end": asked.end}
    return ((row[0], row[1], row[2]) for row in session.execute(statement, values))
