"""Another admin: asked for by one admin, made one, or let in again, when a second one approves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from makegood import approval_kinds, approvals, operators
from makegood.approval_kinds import Kind
from makegood.errors import Conflict, Forbidden, NeedsApproval
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
        return _ask(session, email, {"role": "admin"}, f"Make {email} an admin", actor, at, address)


def enable(
    session: Session, email: str, *, actor: str, at: datetime, address: str | None = None
) -> Operator | Approval:
    """Let a disabled operator log in again, or ask a second admin where they are one and there is another admin.

    Returns the operator, or the request. Raises NotFound, and Conflict when another request waits.
    """
    try:
        return operators.enable(session, email, actor=actor, at=at, address=address)
    except NeedsApproval:
        return _ask(session, email, {"active": True}, f"Let the admin {email} log in again", actor, at, address)


def _ask(
    session: Session, email: str, wanted: dict[str, Any], note: str, actor: str, at: datetime, address: str | None
) -> Approval:
    is_now = _is_now(session, email)
    return approvals.ask(
        session,
        KIND,
        email,
        credits=0,
        details={"email": email, "before": is_now, "after": is_now | wanted},
        note=note,
        actor=actor,
        at=at,
        address=address,
    )


def _carry_out(
    session: Session, approval: Approval, approver: str, terms: Terms, at: datetime, address: str | None
) -> None:
    email, actor = approval.details["email"], approval.requested_by
    before, after = approval.details["before"], approval.details["after"]
    if approver == email:
        raise Forbidden(f"It is about you: another admin has to decide it. {KIND.unmoved}")
    if _is_now(session, email) != before:
        raise Conflict(f"{email} was changed since this was asked for. Reject it, and ask anew. {KIND.unmoved}")
    if after["role"] != before["role"]:
        operators.set_role(session, email, after["role"], actor=actor, approved_by=approver, at=at)
    else:
        operators.enable(session, email, actor=actor, approved_by=approver, at=at)


def _is_now(session: Session, email: str) -> dict[str, Any]:
    query = select(Operator).where(Operator.email == operators.normal_email(email)).with_for_update()
    operator = session.scalars(query.execution_options(populate_existing=True)).one()
    return {"role": operator.role, "active": operator.disabled_at is None}


KIND = approval_kinds.register(
    Kind("new_admin", "operator", "manage_operators", _carry_out, unmoved="Nothing changed.")
)
