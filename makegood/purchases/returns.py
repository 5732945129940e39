"""Taking back what money went back for, in proportion, and giving it again when the money comes back.

What went back of a charge is its cumulative `amount_refunded` (a refund that failed is not in it) and what a
dispute withdrew: all but inquiries (`warning_...`) and won ones. `set_returned` in
migrations/sql/0013_purchases.sql has the rules for the credits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

# Of which purchases' payments anything went back, or of which it had: nothing can differ of the others.
_MOVED = """ARRAY(
    WITH moved AS MATERIALIZED (
        SELECT id, payment_intent FROM stripe_charges WHERE amount_refunded > 0
        UNION
        SELECT c.id, c.payment_intent FROM stripe_charges c JOIN stripe_disputes d ON d.charge_id = c.id
    )
    SELECT source_id FROM purchases WHERE refunded <> 0 OR disputed <> 0
    UNION
    SELECT id FROM stripe_checkout_sessions WHERE payment_intent = ANY(ARRAY(SELECT payment_intent FROM moved))
    UNION
    SELECT invoice_id FROM stripe_invoice_payments
     WHERE payment_intent = ANY(ARRAY(SELECT payment_intent FROM moved))
        OR charge_id = ANY(ARRAY(SELECT id FROM moved))
)"""
# A dispute in another currency than its charge's withdrew all of it; one of a status that we do not know is judged
# by what it moved.
_DIFFERING = """
    WITH asked AS MATERIALIZED (SELECT {sources} AS sources), paying AS (
        SELECT p.id, c.id AS charge_id
          FROM purchases p
          JOIN stripe_checkout_sessions s ON s.id = p.source_id
          JOIN stripe_charges c ON c.payment_intent = s.payment_intent
         WHERE p.source_kind = 'checkout_session' AND p.source_id = ANY((SELECT sources FROM asked)::text[])
        UNION
        SELECT p.id, c.id
          FROM purchases p
          JOIN stripe_invoice_payments i ON i.invoice_id = p.source_id
          JOIN stripe_charges c ON c.payment_intent = i.payment_intent
         WHERE p.source_kind = 'invoice' AND p.source_id = ANY((SELECT sources FROM asked)::text[])
        UNION
        SELECT p.id, i.charge_id
          FROM purchases p
          JOIN stripe_invoice_payments i ON i.invoice_id = p.source_id
         WHERE p.source_kind = 'invoice' AND i.charge_id IS NOT NULL
           AND p.source_id = ANY((SELECT sources FROM asked)::text[])
    ), returned AS (
        SELECT paying.id, c.currency, c.amount_captured AS captured, c.amount_refunded AS refunded,
               least(c.amount_captured - c.amount_refunded, (
                   SELECT coalesce(sum(CASE WHEN d.currency = c.currency THEN d.amount
                                            ELSE c.amount_captured END), 0)
                     FROM stripe_disputes d
                    WHERE d.charge_id = c.id
                      AND (d.status IN ('needs_response', 'under_review', 'lost')
                           OR d.status NOT IN ('won', 'charge_refunded') AND d.status NOT LIKE 'warning%'
                              AND (SELECT sum((moved ->> 'amount')::bigint)
                                     FROM jsonb_array_elements(
                                          CASE jsonb_typeof(d.body -> 'balance_transactions')
                                          WHEN 'array' THEN d.body -> 'balance_transactions' ELSE '[]' END
                                          ) AS moved) < 0)
               )) AS disputed
          FROM paying JOIN stripe_charges c ON c.id = paying.charge_id
         WHERE c.amount_captured > 0
    ), converted AS (
        SELECT p.id, p.customer_id, p.refunded AS refunded_before, p.disputed AS disputed_before,
               sum(CASE WHEN r.currency = p.currency THEN r.refunded
                        ELSE div(r.refunded::numeric * p.paid, r.captured) END)::bigint AS refunded,
               sum(CASE WHEN r.currency = p.currency THEN r.disputed
                        ELSE div(r.disputed::numeric * p.paid, r.captured) END)::bigint AS disputed
          FROM returned r JOIN purchases p ON p.id = r.id
         GROUP BY p.id
    )
    SELECT id, customer_id, refunded, disputed FROM converted
     WHERE (refunded, disputed) <> (refunded_before, disputed_before)
     ORDER BY customer_id, id
"""
DIFFERING = text(_DIFFERING.format(sources="CAST(:sources AS text[])"))
ALL_DIFFERING = text(_DIFFERING.format(sources=_MOVED))
SET = text("SELECT set_returned(:purchase, :refunded, :disputed, :lifetime, 'stripe', :at)")


@dataclass(frozen=True)
class Return:
    """What stands of the refunds and disputes of a purchase, where that is not what was taken back for."""

    purchase_id: UUID
    customer_id: str
    refunded: int
    disputed: int


def differing(session: Session, sources: Iterable[str] | None = None) -> list[Return]:
    """The purchases of these checkout sessions and invoices (None: of all) for which there is something to do."""
    session.flush()
    if sources is None:
        return [Return(*row) for row in session.execute(ALL_DIFFERING)]
    return [Return(*row) for row in session.execute(DIFFERING, {"sources": list(sources)})]


def follow(session: Session, returns: Iterable[Return], lifetime: timedelta, *, at: datetime) -> None:
    """Take back or give again what these say. The caller holds the balances' locks."""
    for one in returns:
        values = {
            "purchase": one.purchase_id,
            "refunded": one.refunded,
            "disputed": one.disputed,
            "lifetime": lifetime,
            "at": at,
        }
        session.execute(SET, values)
