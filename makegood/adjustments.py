"""Adjustments: credits that an operator gives or takes by hand, with a reason, once for each form.

Given credits are a grant of their own that never expires; taken ones come from the customer's grants in the
order in which they are spent. The balance never falls below zero. Both are within the limits of who adjusts, or
approved by a second operator.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from makegood import approvals, audit, customers, ledger, rooms
from makegood.errors import Conflict, IdempotencyConflict, Invalid
from makegood.ids import uuid7
from makegood.models import CreditAdjustment, Movement
from makegood.terms import Terms

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
    terms: Terms,
    *,
    reason: str,
    note: str,
    actor: str,
    idempotency_key: str,
    expected_adjustments: int | None = None,
    approved_by: str | None = None,
    address: str | None = None,
    at: datetime | None = None,
) -> CreditAdjustment:
    """Give (+) or take (−) credits, with the ledger row and its audit entry. A double submit returns the first.

    It has to be within the limits of the actor or, where a second operator approved it, of that one.
    Raises NotFound; Invalid (amount, reason or note); IdempotencyConflict (the form was sent before with something
    else in it); Conflict when there are fewer credits than are to be taken, or the customer has had other than the
    `expected_adjustments` by now; Forbidden and NeedsApproval. In each case no credits moved.
    """
    at = at or datetime.now(UTC)
    operator = rooms.lock(session, approved_by or actor)
    customers.get(session, customer_id)
    first = made_by(session, customer_id, idempotency_key)
    if first is not None:
        return _repeated(first, credits, reason, note)
    check(credits, reason, note)
    before = ledger.lock(session, customer_id, at)
    first = made_by(session, customer_id, idempotency_key)  # by the form's twin, which held the lock before
    if first is not None:
        return _repeated(first, credits, reason, note)
    if expected_adjustments is not None and made_so_far(session, customer_id) != expected_adjustments:
        raise Conflict("The customer's credits were adjusted meanwhile. No credits moved.", balance=before)
    check_there(before, credits)
    purpose, approves = rooms.GIFT if credits > 0 else rooms.TAKING, approved_by is not None
    rooms.check(session, operator, abs(credits), purpose, terms, at=at, approves=approves)
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
    details: dict[str, Any] = {
        "credits": credits,
        "reason": reason,
        "note": adjustment.note,
        "before": {"balance": before},
        "after": {"balance": before + credits},
    }
    if approved_by is not None:
        details["approved_by"] = approved_by
    audit.record(
        session,
        actor=actor,
        action="credits.adjusted",
        subject=f"customer:{customer_id}",
        details=details,
        address=address,
    )
    return adjustment


def made_so_far(session: Session, customer_id: str) -> int:
    """How many adjustments the customer has had."""
    return session.scalar(select(func.count()).where(CreditAdjustment.customer_id == customer_id)) or 0


def check_there(balance: int, credits: int) -> None:
    """Whether a balance holds what is to be taken. Raises Conflict."""
    if balance + credits < 0:
        raise Conflict(
            f"The customer has only {balance:,} credits by now, so {-credits:,} cannot be taken. "
            "No credits moved.",
            balance=balance,
        )


def made_by(session: Session, customer_id: str, idempotency_key: str) -> CreditAdjustment | None:
    """What a form made: when it was sent, or when a second operator approved what it asked for."""
    approved = approvals.made_by("adjustment", f"customer:{customer_id}", idempotency_key)
    by_it = or_(CreditAdjustment.idempotency_key == idempotency_key, CreditAdjustment.id.in_(approved))
    return session.scalar(select(CreditAdjustment).where(CreditAdjustment.customer_id == customer_id, by_it))


def sent_before(first: CreditAdjustment) -> IdempotencyConflict:
    """What to say of a form that made this adjustment and comes again as another one."""
    return IdempotencyConflict(
        f"This form {'gave' if first.credits > 0 else 'took'} {abs(first.credits)} credits when it was sent "
        "before. No more moved. What you typed is kept: send it again if it is meant as another adjustment."
    )


def _repeated(first: CreditAdjustment, credits: int, reason: str, note: str) -> CreditAdjustment:
    if (first.credits, first.reason, first.note) != (credits, reason, note.strip()):
        raise sent_before(first)
    return first


def _post(session: Session, customer_id: str, credits: int, *, actor: str, reason: str, at: datetime) -> UUID:
    """The ledger row, under the balance's lock. Returns its id."""
    if credits < 0:
        return ledger.take(session, customer_id, -credits, actor=actor, reason=reason, at=at)
    grant = ledger.post(session, customer_id, credits, source="adjustment", actor=actor, reason=reason, at=at)
    return session.scalars(select(Movement.transaction_id).where(Movement.grant_id == grant.id)).one()


def check(credits: int, reason: str, note: str) -> None:
    """Whether so many credits may be given or taken, for that reason. Raises Invalid."""
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
