"""Another admin: asked for by one admin, made one, or let in again, when a second one approves."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from makegood import approval_kinds, approvals, operators
from makegood.approval_kinds import Kind
from makegood.errors import NeedsApproval
from makegood.models import Approval, Operator
from makegood.terms import Terms


def change_role(
    session: Session, email: str, role: str, *, actor: str, at: datetime, address: str | None = None
) -> Operator | Approval:
    """Change what an operator may, or ask a second admin where that makes them one and there is another admin.

    Returns the operator, or the request. Raises as `operators.set_role`, and Conflict when another request waits.
    """
    try:
        return operators.set_role(session, email, role, actor=actor, at=at, address=address)
    except NeedsApproval:
        return _ask(session, email, "role", f"Make {email} an admin", actor, at, address)


def enable(
    session: Session, email: str, *, actor: str, at: datetime, address: str | None = None
) -> Operator | Approval:
    """Let a disabled operator log in again, or ask a second admin where they are one and there is another admin.

    Returns the operator, or the request. Raises NotFound, and Conflict when another request waits.
    """
    try:
        return operators.enable(session, email, actor=actor, at=at, address=address)
    except NeedsApproval:
        return _ask(session, email, "access", f"Let the admin {email} log in again", actor, at, address)


def _ask(
    session: Session, email: str, what: str, note: str, actor: str, at: datetime, address: str | None
) -> Approval:
    return approvals.ask(
        session,
        KIND,
        email,
        credits=0,
        details={"email": email, "what": what},
        note=note,
        actor=actor,
        at=at,
        address=address,
    )


def _carry_out(
    session: Session, approval: Approval, approver: str, terms: Terms, at: datetime, address: str | None
) -> None:
    email, actor = approval.details["email"], approval.requested_by
    if approval.details["what"] == "role":
        operators.set_role(session, email, "admin", actor=actor, approved_by=approver, at=at)
    else:
        operators.enable(session, email, actor=actor, approved_by=approver, at=at)


KIND = approval_kinds.register(
    Kind("new_admin", "operator", "manage_operators", _carry_out, unmoved="Nothing changed.")
)
