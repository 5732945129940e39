"""Adjustments beyond an operator's limits: asked for by one operator, made when a second one approves."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from makegood import adjustments, approval_kinds, approvals, customers, ledger
from makegood.approval_kinds import Kind
from makegood.models import Approval
from makegood.terms import Terms


def ask(
    session: Session,
    customer_id: str,
    credits: int,
    *,
    reason: str,
    note: str,
    actor: str,
    idempotency_key: str,
    at: datetime,
    address: str | None = None,
) -> Approval:
    """Ask a second operator to give (+) or take (−) credits. A double submit returns the first request.

    No credits move. Raises NotFound; Invalid (amount, reason or note); IdempotencyConflict (what the form asked
    for was approved, or it adjusted at once); Conflict (fewer credits are there than are to be taken, or another
    request about this customer waits).
    """
    customers.get(session, customer_id)
    first = adjustments.made_by(session, customer_id, idempotency_key)
    if first is not None:
        raise adjustments.sent_before(first)
    adjustments.check(credits, reason, note)
    adjustments.check_there(ledger.balance(session, customer_id), credits)
    return approvals.ask(
        session,
        KIND,
        customer_id,
        credits=credits,
        details={
            "customer_id": customer_id,
            "reason": reason,
            "expected_adjustments": adjustments.made_so_far(session, customer_id),
            "idempotency_key": idempotency_key,
        },
        note=note,
        actor=actor,
        at=at,
        address=address,
    )


def changed(session: Session, approval: Approval) -> bool:
    """Whether the customer's credits were adjusted since this was asked for: it cannot be approved as it is."""
    expected: int = approval.details["expected_adjustments"]
    return adjustments.made_so_far(session, approval.details["customer_id"]) != expected


def _carry_out(
    session: Session, approval: Approval, approver: str, terms: Terms, at: datetime, address: str | None
) -> UUID:
    made = adjustments.adjust(
        session,
        approval.details["customer_id"],
        approval.credits,
        terms,
        reason=approval.details["reason"],
        note=approval.note,
        actor=approval.requested_by,
        approved_by=approver,
        idempotency_key=str(approval.id),
        expected_adjustments=approval.details["expected_adjustments"],
        at=at,
    )
    return made.id


KIND = approval_kinds.register(Kind("adjustment", "customer", "adjust_credits", _carry_out))
subject_of, waiting = KIND.subject_of, KIND.waiting
