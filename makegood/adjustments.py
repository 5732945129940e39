"""Adjustments: credits that an operator gives or takes by hand, with a reason, once for each form.

Given credits are a grant of their own that never expires; taken ones come from the customer's grants in the
order in which they are spent. The balance never falls below zero.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import audit, customers, ledger
from makegood.errors import Conflict, IdempotencyConflict, Invalid
from makegood.ids import uuid7
from makegood.models import CreditAdjustment, Movement

REASONS = {
    "correction": "Correction of a mistake",
    "goodwill": "Goodwill",
    "compensation": "Compensation for an incident",
    "payment": "Payment outside the shop",
    "chargeback": "Chargeback or fraud",
    "other": "Other (see note)",
}
"""Why an operator adjusts: code and label."""

MAX_CREDITS = 1_000_000
MAX_NOTE = 1000


def adjust(
    session: Session,
    customer_id: str,
    credits: int,
    *,
    reason: str,
    note: str,
    actor: str,
    idempotency_key: str,
    address: str | None = None,
    at: datetime | None = None,
) -> CreditAdjustment:
    """Give (+) or take (−) credits, with the ledger row and its audit entry. A double submit returns the first.

    Raises NotFound; Invalid (amount, reason or note); IdempotencyConflict (the form was sent before with something
    else in it); Conflict when there are fewer credits than are to be taken. In each case no credits moved.
    """
    customers.get(session, customer_id)
    first = _made(session, customer_id, idempotency_key)
    if first is not None:
        return _repeated(first, credits, reason, note)
    _check(credits, reason, note)
    at = at or datetime.now(UTC)
    before = ledger.lock(session, customer_id, at)
    first = _made(session, customer_id, idempotency_key)  # by the form's twin, which held the lock before
    if first is not None:
        return _repeated(first, credits, reason, note)
    if before + credits < 0:
        raise Conflict(
            f"The customer has only {before:,} credits by now, so {-credits:,} cannot be taken. No credits moved.",
            balance=before,
        )
    adjustment = CreditAdjustment(
        id=uuid7(),
        customer_id=customer_id,
        transaction_id=_post(session, customer_id, credits, actor=actor, reason=reason, at=at),
        credits=credits,
        reason=reason,
        note=note.strip(),
        actor=actor,
        idempotency_key=idempotency_key,
        adjusted_at=at,
    )
    session.add(adjustment)
    details = {
        "credits": credits,
        "reason": reason,
        "note": adjustment.note,
        "before": {"balance": before},
        "after": {"balance": before + credits},
    }
    audit.record(
        session,
        actor=actor,
        action="credits.adjusted",
        subject=f"customer:{customer_id}",
        details=details,
        address=address,
    )
    return adjustment


def _made(session: Session, customer_id: str, idempotency_key: str) -> CreditAdjustment | None:
    return session.scalar(
        select(CreditAdjustment).where(
            CreditAdjustment.customer_id == customer_id, CreditAdjustment.idempotency_key == idempotency_key
        )
    )


def _repeated(first: CreditAdjustment, credits: int, reason: str, note: str) -> CreditAdjustment:
    if (first.credits, first.reason, first.note) != (credits, reason, note.strip()):
        raise IdempotencyConflict(
            f"This form {'gave' if first.credits > 0 else 'took'} {abs(first.credits)} credits when it was sent "
            "before. No more moved. What you typed is kept: send it again if it is meant as another adjustment."
        )
    return first


def _post(session: Session, customer_id: str, credits: int, *, actor: str, reason: str, at: datetime) -> UUID:
    """The ledger row, under the balance's lock. Returns its id."""
    if credits < 0:
        return ledger.take(session, customer_id, -credits, actor=actor, reason=reason, at=at)
    grant = ledger.post(session, customer_id, credits, source="adjustment", actor=actor, reason=reason, at=at)
    return session.scalars(select(Movement.transaction_id).where(Movement.grant_id == grant.id)).one()


def _check(credits: int, reason: str, note: str) -> None:
    fields = {}
    if credits == 0 or abs(credits) > MAX_CREDITS:
        fields["credits"] = f"must be a whole number from 1 to {MAX_CREDITS:,}"
    if reason not in REASONS:
        fields["reason"] = "choose a reason from the list"
    if not note.strip():
        fields["note"] = "say in a few words why"
    elif len(note) > MAX_NOTE or "\0" in note:
        fields["note"] = f"must be at most {MAX_NOTE} characters of text"
    if fields:
        raise Invalid("The adjustment is not valid. No credits moved.", fields=fields)
