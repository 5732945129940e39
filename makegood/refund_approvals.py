"""Refunds beyond an operator's limits: asked for by one operator, issued when a second one approves."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from makegood import approval_kinds, approvals, refunds
from makegood.approval_kinds import Kind
from makegood.errors import Conflict, NotFound
from makegood.models import Approval, Generation
from makegood.terms import Terms


def generation_of(approval: Approval) -> UUID:
    """The generation that a request is about."""
    return UUID(KIND.identifier_of(approval))


def ask(
    session: Session,
    generation_id: UUID,
    *,
    credits: int,
    reason: str,
    note: str,
    actor: str,
    idempotency_key: str,
    expected_refunded: int,
    at: datetime,
    address: str | None = None,
) -> Approval:
    """Ask a second operator for a refund. A double submit returns the first request. No credits move.

    Raises NotFound; Invalid (reason, note or amount); Conflict (refunded meanwhile, or another request waits);
    IdempotencyConflict (what the form asked for was approved, and reversed since).
    """
    generation = session.get(Generation, generation_id, populate_existing=True)
    if generation is None:
        raise NotFound("There is no such generation.")
    if generation.credits_refunded != expected_refunded:
        raise Conflict(
            f"The generation changed meanwhile: {generation.credits_refunded} credits have been refunded "
            "by now. No credits moved.",
            credits_refunded=generation.credits_refunded,
        )
    first = refunds.made_by(session, generation, idempotency_key)
    if first is not None:
        refunds.check_repeated(session, first, credits, reason, note)
    refunds.check(generation, credits, reason, note)
    return approvals.ask(
        session,
        KIND,
        generation_id,
        credits=credits,
        details={
            "customer_id": generation.customer_id,
            "reason": reason,
            "expected_refunded": expected_refunded,
            "idempotency_key": idempotency_key,
        },
        note=note,
        actor=actor,
        at=at,
        address=address,
    )


def _carry_out(
    session: Session, approval: Approval, approver: str, terms: Terms, at: datetime, address: str | None
) -> UUID:
    refund = refunds.issue_manual(
        session,
        generation_of(approval),
        terms,
        credits=approval.credits,
        reason=approval.details["reason"],
        note=approval.note,
        actor=approval.requested_by,
        approved_by=approver,
        idempotency_key=str(approval.id),
        expected_refunded=approval.details["expected_refunded"],
        at=at,
    )
    return refund.id


KIND = approval_kinds.register(Kind("refund", "generation", "refund", _carry_out))
subject_of, waiting = KIND.subject_of, KIND.waiting
