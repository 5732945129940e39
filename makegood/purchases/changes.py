"""What the payment check has to look at again: what changed since it found everything else in order.

Triggers in migrations/sql/0027_payment_changes.sql note each new or changed object by its id, in the transaction
that writes it. Whose purchase that concerns is found when it is looked at, since only then both are there.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, insert, select, text
from sqlalchemy.orm import Session

from makegood.models import PaymentChange, Product
from makegood.purchases import fulfilment

# Arrays, so that what changed is found by the indexes however much there is beside it.
CONCERNED = text(
    """
    WITH changed AS MATERIALIZED (
        SELECT DISTINCT object_id AS id FROM payment_changes
    ), charged AS MATERIALIZED (
        SELECT id, payment_intent FROM stripe_charges
         WHERE id = ANY(ARRAY(SELECT id FROM changed
                               UNION
                              SELECT charge_id FROM stripe_disputes WHERE id = ANY(ARRAY(SELECT id FROM changed))))
    )
    SELECT id FROM changed
     UNION
    SELECT id FROM stripe_checkout_sessions WHERE payment_intent = ANY(ARRAY(SELECT payment_intent FROM charged))
     UNION
    SELECT invoice_id FROM stripe_invoice_payments
     WHERE id = ANY(ARRAY(SELECT id FROM changed))
        OR payment_intent = ANY(ARRAY(SELECT payment_intent FROM charged))
        OR charge_id = ANY(ARRAY(SELECT id FROM charged))
    """
)


def concerned(session: Session) -> list[str]:
    """The checkout sessions and invoices that may not be in order; ids of other objects are among them."""
    found = set(session.scalars(CONCERNED))
    products = session.scalars(select(Product.id).where(Product.id.in_(select(PaymentChange.object_id)))).all()
    if products:
        found.update(*fulfilment.candidates(session, products).values())
    return sorted(found)


def forget(session: Session) -> None:
    """Take away what was noted until now. Call it before everything is looked at: what is noted later stays."""
    session.execute(delete(PaymentChange))


def keep(session: Session, sources: Iterable[str]) -> None:
    """Look at these checkout sessions and invoices again, though nothing of them changes."""
    rows = [{"object_id": one} for one in sorted(set(sources))]
    if rows:
        session.execute(insert(PaymentChange), rows)
