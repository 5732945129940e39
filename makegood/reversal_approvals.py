"""Reversals beyond an operator's limits: asked for by one operator, done when a second one approves."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from makegood import approval_kinds, approvals, reversals
from makegood.approval_kinds import Kind
from makegood.errors import Conflict
from makegood.models import Approval
from makegood.terms import Terms


def ask(
    session: Session,
    refund_id: UUID,
    *,
    note: str,
    actor: str,
    idempotency_key: str,
    at: datetime,
    address: str | None = None,
) -> Approval:
    """Ask a second operator to take a refund back. A double submit returns the first request. No credits move.

    Raises NotFound; Invalid (the note); Conflict (it cannot be reversed, or another request for it waits).
    """
    prospect = reversals.look(session, refund_id, at=at)
    if prospect.problem is not None:
        raise Conflict(f"{prospect.problem} No credits moved.", available=prospect.there)
    reversals.check(note)
    refund = prospect.refund
    return approvals.ask(
        session,
        KIND,
        refund_id,
        credits=-refund.credits,
        details={
            "customer_id": refund.customer_id,
            "generation_id": str(refund.generation_id),
            "refunded_by": refund.actor,
            "idempotency_key": idempotency_key,
        },
        note=note,
        actor=actor,
        at=at,
        address=address,
    )


def refund_of(approval: Approval) -> UUID:
    """The refund that a request is about."""
    return UUID(KIND.identifier_of(approval))


def _carry_out(
    session: Session, approval: Approval, approver: str, terms: Terms, at: datetime, address: str | None
) -> UUID:
    made = reversals.reverse(
        session,
        refund_of(approval),
        terms,
        note=approval.note,
        actor=approval.requested_by,
        approved_by=approver,
        idempotency_key=str(approval.id),
        at=at,
    )
    return made.id


KIND = approval_kinds.register(Kind("reversal", "refund", "reverse_refund", _carry_out))
subject_of, waiting = KIND.subject_of, KIND.waiting
