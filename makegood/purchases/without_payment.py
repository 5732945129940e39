"""What was credited although its payment is not, or no longer, there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import literal, select, text
from sqlalchemy.orm import Session

from makegood.models import Purchase
from makegood.purchases import returns

# An invoice that somebody marked paid at Stripe, because the money came in elsewhere, has no charge there.
# `amount_paid_off_stripe` is not in every answer; the payment's record is
# (docs.stripe.com/changelog/dahlia/2026-05-27/invoice-object-amount-paid-off-stripe-property).
# What has its payment is set aside first, all at once: of the few that are left each is looked at. `found` are
# those that were waited for long enough.
_NOT_PAID = """
    WITH doubtful AS (
        SELECT * FROM purchases
         WHERE source_kind = 'checkout_session' {among} AND NOT EXISTS (
               SELECT FROM stripe_checkout_sessions s JOIN stripe_charges c ON c.payment_intent = s.payment_intent
                WHERE s.id = source_id AND s.payment_status IN ('paid', 'no_payment_required')
                  AND c.amount_captured > 0)
        UNION ALL
        SELECT * FROM purchases
         WHERE source_kind = 'invoice' {among} AND NOT EXISTS (
               SELECT FROM stripe_invoices i
                 JOIN stripe_invoice_payments ON invoice_id = i.id
                 JOIN stripe_charges c USING (payment_intent)
                WHERE i.id = source_id AND i.status = 'paid' AND c.amount_captured > 0)
    )
    SELECT p.source_kind, p.source_id, p.customer_id, p.credits, p.amount, p.currency, p.paid_at,
           CASE WHEN said.paid THEN 'its payment has not been read'
                ELSE coalesce('Stripe says: ' || coalesce(s.payment_status, i.status),
                              'nothing is known of it from Stripe') END AS problem,
           NOT said.paid OR p.granted_at < :patient AND p.source_kind = ANY(:kinds) AS found
      FROM doubtful p
      LEFT JOIN stripe_checkout_sessions s ON p.source_kind = 'checkout_session' AND s.id = p.source_id
      LEFT JOIN stripe_invoices i ON p.source_kind = 'invoice' AND i.id = p.source_id
     CROSS JOIN LATERAL (SELECT coalesce(s.payment_status IN ('paid', 'no_payment_required'),
                                         i.status = 'paid', false)) AS said (paid)
     WHERE NOT said.paid
        OR p.paid > 0
       AND NOT EXISTS (
            SELECT FROM stripe_invoice_payments payment JOIN stripe_charges c ON c.id = payment.charge_id
             WHERE payment.invoice_id = p.source_id AND c.amount_captured > 0)
       AND NOT EXISTS (
            SELECT FROM stripe_invoice_payments
             WHERE invoice_id = p.source_id AND status = 'paid'
               AND body -> 'payment' ->> 'type' = 'payment_record')
       AND ((i.body ->> 'amount_paid_off_stripe')::bigint >= i.amount_paid) IS NOT TRUE
     ORDER BY 7, 2
"""
NOT_PAID = text(_NOT_PAID.format(among="AND source_id = ANY(CAST(:sources AS text[]))"))
ALL_NOT_PAID = text(_NOT_PAID.format(among=""))


@dataclass(frozen=True)
class NotPaid:
    """Something that was credited although the money is not, or no longer, there."""

    source_kind: str
    source_id: str
    customer_id: str
    credits: int
    amount: int
    currency: str
    paid_at: datetime
    problem: str


def find(
    session: Session, sources: Sequence[str] | None, patient: datetime, kinds: Sequence[str]
) -> tuple[list[NotPaid], list[str]]:
    """Those of these checkout sessions and invoices (None: of all), and which of them are to be looked at again:
    what was credited since `patient`, or is not of these `kinds`, is waited for."""
    values = {"sources": sources, "patient": patient, "kinds": kinds}
    doubtful = session.execute(ALL_NOT_PAID if sources is None else NOT_PAID, values).all()
    differing = _not_taken_back(session, sources)
    found = [NotPaid(*row) for *row, found in doubtful if found] + differing
    return found, [row.source_id for row in doubtful] + [one.source_id for one in differing]


def _not_taken_back(session: Session, sources: Sequence[str] | None) -> list[NotPaid]:
    """Purchases whose money went back, or came again, without that their credits followed."""
    moved = [one.purchase_id for one in returns.differing(session, sources)]
    if not moved:
        return []
    columns = (
        Purchase.source_kind, Purchase.source_id, Purchase.customer_id, Purchase.credits, Purchase.amount,
        Purchase.currency, Purchase.paid_at, literal("money moved since, and its credits have not followed"),
    )  # fmt: skip
    query = select(*columns).where(Purchase.id.in_(moved)).order_by(Purchase.paid_at, Purchase.id)
    return [NotPaid(*row) for row in session.execute(query)]
