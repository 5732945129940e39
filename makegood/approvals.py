"""Approvals: what one operator asks for and a second one decides. Nobody decides their own request.

A kind of request says what carrying it out means; that happens in the transaction that approves it, with all the
usual guards, so that a request is approved and done, or still waits. Locks: the deciding operator's row, then the
request, then whatever the kind locks.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from makegood import audit, permissions, rooms
from makegood.approval_kinds import KINDS, Kind
from makegood.errors import Conflict, Forbidden, Invalid, NotFound
from makegood.models import Approval, Operator
from makegood.terms import Terms

LIFETIME = timedelta(days=7)
MAX_NOTE = 1000


def ask(
    session: Session,
    kind: Kind,
    identifier: UUID | str | int,
    *,
    credits: int,
    details: dict[str, Any],
    note: str,
    actor: str,
    at: datetime,
    address: str | None = None,
) -> Approval:
    """A new request about the thing with this id, which waits seven days. A double submit returns the first one.

    Raises Invalid (no note), and Conflict when another one about the same subject waits.
    """
    _check_note(note, required=True)
    subject = kind.subject_of(identifier)
    _expire(session, at, Approval.kind == kind.name, Approval.subject == subject)
    values = {"credits": credits, "details": details, "note": note.strip(), "requested_by": actor}
    asked: Approval | None = session.scalar(
        insert(Approval)
        .values(kind=kind.name, subject=subject, requested_at=at, expires_at=at + LIFETIME, **values)
        .on_conflict_do_nothing(index_elements=["kind", "subject"], index_where=Approval.state == "pending")
        .returning(Approval)
    )
    if asked is None:
        waiting = kind.waiting(session, identifier, at=at)
        if waiting and all(getattr(waiting, name) == value for name, value in values.items()):
            return waiting
        who = waiting.requested_by if waiting else "Somebody"
        raise Conflict(f"{who} has asked for this already, and it waits for approval. {kind.unmoved}")
    _audit(session, asked, "requested", None, "pending", actor, note.strip(), address)
    return asked


def approve(
    session: Session,
    approval_id: UUID,
    *,
    actor: str,
    terms: Terms,
    at: datetime,
    note: str = "",
    address: str | None = None,
) -> Approval:
    """Do what was asked for. Approving twice does it once.

    Raises NotFound; Forbidden (their own request, the role); NeedsApproval (beyond the limits of who approves);
    Conflict (decided otherwise, expired, or what it is about changed; who asked may not any more). In each case
    nothing changed, and no credits moved.
    """
    _check_note(note, required=False)
    decider = rooms.lock(session, actor)
    approval = _locked(session, approval_id)
    if approval.state == "approved" and approval.decided_by == actor:
        return approval
    _require_pending(approval, at)
    kind = KINDS[approval.kind]
    if actor == approval.requested_by:
        raise Forbidden(f"Nobody approves their own request. Another operator has to. {kind.unmoved}")
    if decider is None or not permissions.may(decider, kind.action):
        raise Forbidden(f"Your role does not allow this. {kind.unmoved}")
    _require_asker(session, approval, kind)
    result = kind.carry_out(session, approval, actor, terms, at, address)
    return _close(session, approval, "approved", actor, note, at, address, result)


def reject(
    session: Session, approval_id: UUID, *, actor: str, note: str, at: datetime, address: str | None = None
) -> Approval:
    """Say no, and why. Rejecting twice is once.

    Raises NotFound, Invalid (no note), Forbidden (their own request: withdraw it) and Conflict.
    """
    _check_note(note, required=True)
    decider = rooms.lock(session, actor)
    approval = _locked(session, approval_id)
    if approval.state == "rejected" and approval.decided_by == actor:
        return approval
    _require_pending(approval, at)
    if actor == approval.requested_by:
        raise Forbidden("Nobody decides their own request. Withdraw it instead.")
    if decider is None or not permissions.may(decider, KINDS[approval.kind].action):
        raise Forbidden("Your role does not allow this. Nothing was decided.")
    return _close(session, approval, "rejected", actor, note, at, address)


def withdraw(
    session: Session, approval_id: UUID, *, actor: str, at: datetime, address: str | None = None
) -> Approval:
    """Take one's own request back. Raises NotFound, Forbidden (another's) and Conflict."""
    approval = _locked(session, approval_id)
    if actor != approval.requested_by:
        raise Forbidden("Only who asked can withdraw a request. Reject it instead.")
    if approval.state == "withdrawn":
        return approval
    _require_pending(approval, at)
    return _close(session, approval, "withdrawn", actor, "", at, address)


def expire_due(session: Session, *, at: datetime) -> int:
    """Close what nobody decided in time. Returns how many."""
    return _expire(session, at)


def get(session: Session, approval_id: UUID) -> Approval:
    """The request. Raises NotFound."""
    approval = session.get(Approval, approval_id, populate_existing=True)
    if approval is None:
        raise NotFound("There is no such request.")
    return approval


def action_of(approval: Approval) -> str:
    """What the role of who decides must allow."""
    return KINDS[approval.kind].action


def made_by(kind: str, subject: str, idempotency_key: str) -> Select[UUID | None]:
    """The ids of what a form's requests about this subject made when they were approved, as a query."""
    return select(Approval.result_id).where(
        Approval.kind == kind,
        Approval.subject == subject,
        Approval.state == "approved",
        Approval.details["idempotency_key"].astext == idempotency_key,
    )


def _locked(session: Session, approval_id: UUID) -> Approval:
    approval = session.get(Approval, approval_id, with_for_update=True, populate_existing=True)
    if approval is None:
        raise NotFound("There is no such request.")
    return approval


def _require_pending(approval: Approval, at: datetime) -> None:
    unmoved = KINDS[approval.kind].unmoved
    if approval.state in ("approved", "rejected"):
        raise Conflict(f"{approval.decided_by} has {approval.state} this already. Nothing changed.")
    if approval.state == "withdrawn":
        raise Conflict(f"{approval.requested_by} has withdrawn this. {unmoved}")
    if approval.state == "expired" or approval.expires_at <= at:
        raise Conflict(f"This request has expired. {unmoved} Ask again if it is still wanted.")


def _require_asker(session: Session, approval: Approval, kind: Kind) -> None:
    """It takes two: what an operator asked for who was disabled, or may less since, is not done by one alone."""
    asker = session.scalar(
        select(Operator).where(Operator.email == approval.requested_by).execution_options(populate_existing=True)
    )
    if asker is not None and (asker.disabled_at is not None or not permissions.may(asker, kind.action)):
        raise Conflict(f"{asker.email} may not do this any more. {kind.unmoved} Reject the request.")


def _close(
    session: Session,
    approval: Approval,
    state: str,
    actor: str,
    note: str,
    at: datetime,
    address: str | None,
    result_id: UUID | None = None,
) -> Approval:
    approval.state = state
    approval.decided_by = actor
    approval.decided_at = at
    approval.decision_note = note.strip() or None
    approval.result_id = result_id
    session.flush()
    _audit(session, approval, state, "pending", state, actor, approval.decision_note, address)
    _tell(session, approval)
    return approval


def _expire(session: Session, at: datetime, *only: Any) -> int:
    gone = session.scalars(
        update(Approval)
        .where(Approval.state == "pending", Approval.expires_at <= at, *only)
        .values(state="expired", decided_at=at)
        .returning(Approval)
        .execution_options(populate_existing=True)
    ).all()
    for approval in gone:
        _audit(session, approval, "expired", "pending", "expired", "system", None, None)
        _tell(session, approval)
    return len(gone)


def _tell(session: Session, approval: Approval) -> None:
    kind = KINDS.get(approval.kind)
    if approval.state != "approved" and kind is not None and kind.dropped is not None:
        kind.dropped(session, approval)


def _audit(
    session: Session,
    approval: Approval,
    event: str,
    before: str | None,
    after: str,
    actor: str,
    note: str | None,
    address: str | None,
) -> None:
    details: dict[str, Any] = {
        "approval": str(approval.id),
        "kind": approval.kind,
        "credits": approval.credits,
        "before": before,
        "after": after,
    }
    if note:
        details["note"] = note
    audit.record(
        session,
        actor=actor,
        action=f"approval.{event}",
        subject=approval.subject,
        details=details,
        address=address,
    )


def _check_note(note: str, *, required: bool) -> None:
    if required and not note.strip():
        raise Invalid("Say in a few words why. Nothing changed.", fields={"note": "say in a few words why"})
    if len(note) > MAX_NOTE or "\0" in note:
        problem = f"must be at most {MAX_NOTE} characters of text"
        raise Invalid("The note is not valid. Nothing changed.", fields={"note": problem})
