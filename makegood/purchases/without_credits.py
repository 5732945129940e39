"""What was sold of products that do not say how many credits one of them is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.purchases import contents

# What counts, and when it was paid, is as `fulfilment` has it.
_SOLD = """
    WITH unsaid AS MATERIALIZED (
        SELECT id, name, body #>> '{{metadata,credits}}' AS says FROM stripe_products
         WHERE coalesce(body #>> '{{metadata,credits}}', '') !~ '^[0-9]{{1,10}}$'
    ), sold AS (
        SELECT unsaid.id, coalesce((SELECT min(c.created_at) FILTER (WHERE c.amount_captured > 0)
                                      FROM stripe_charges c WHERE c.payment_intent = s.payment_intent),
                                   s.created_at) AS at
          FROM stripe_checkout_sessions s
         CROSS JOIN LATERAL jsonb_array_elements(
               CASE jsonb_typeof(s.body -> 'line_items' -> 'data')
               WHEN 'array' THEN s.body -> 'line_items' -> 'data' ELSE '[]' END) AS line
          JOIN unsaid ON unsaid.id = coalesce({of_session})
         WHERE s.mode = 'payment' AND s.payment_status IN ('paid', 'no_payment_required')
           AND s.status IS DISTINCT FROM 'open'
        UNION ALL
        SELECT unsaid.id, i.paid_at
          FROM stripe_invoices i
         CROSS JOIN LATERAL jsonb_array_elements(
               CASE jsonb_typeof(i.body -> 'lines' -> 'data')
               WHEN 'array' THEN i.body -> 'lines' -> 'data' ELSE '[]' END) AS line
          JOIN unsaid ON unsaid.id = coalesce({of_invoice})
         WHERE i.status = 'paid' AND i.billing_reason IN ('subscription_create', 'subscription_cycle')
           AND i.amount_paid > 0
    )
    SELECT id, unsaid.name, unsaid.says, count(*), max(sold.at)
      FROM sold JOIN unsaid USING (id)
     WHERE sold.at >= :since
     GROUP BY 1, 2, 3 ORDER BY 5 DESC, 1
"""
SOLD = text(_SOLD.format(of_session=contents.PRODUCT_OF_PRICE, of_invoice=contents.PRODUCT_OF_LINE))


@dataclass(frozen=True)
class WithoutCredits:
    """A product that was sold and does not say how many credits it is; `says` is what stands there instead."""

    product_id: str
    name: str | None
    says: str | None
    sold: int
    last_at: datetime


def sold(session: Session, since: datetime) -> list[WithoutCredits]:
    """Those that were paid for since then, the last sold first."""
    return [WithoutCredits(*row) for row in session.execute(SOLD, {"since": since})]
