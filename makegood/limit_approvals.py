"""Higher limits: asked for by one admin, published when a second one approves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from sqlalchemy.orm import Session

from makegood import approval_kinds, approvals, limits
from makegood.approval_kinds import Kind
from makegood.errors import NeedsApproval
from makegood.limits import Limits
from makegood.models import Approval
from makegood.terms import Terms


def change(
    session: Session,
    wanted: Mapping[str, Limits],
    *,
    based_on: int,
    note: str,
    actor: str,
    at: datetime,
    address: str | None = None,
) -> int | Approval:
    """Publish new limits for every role, or ask a second admin where they raise one and there is another admin.

    Those that are lower do not wait for the others: they are published at once, and the request is for the rest.
    Returns the version, or the request. Raises Invalid and Conflict as `limits.publish`, and Conflict when another
    request waits.
    """
    try:
        return limits.publish(session, wanted, based_on=based_on, note=note, actor=actor, at=at, address=address)
    except NeedsApproval:
        before = {role: limits.of(session, role) for role in limits.ROLES}
        lower = limits.lower(before, wanted)
        if lower != before:
            based_on = limits.publish(
                session, lower, based_on=based_on, note=note, actor=actor, at=at, address=address
            )
        details = {
            "based_on": based_on,
            "before": {role: asdict(lower[role]) for role in limits.ROLES},
            "after": {role: asdict(wanted[role]) for role in limits.ROLES},
        }
        return approvals.ask(
            session,
            KIND,
            based_on + 1,
            credits=0,
            details=details,
            note=note,
            actor=actor,
            at=at,
            address=address,
        )


def waiting(session: Session, version: int, *, at: datetime) -> Approval | None:
    """The request for limits in place of this version that waits."""
    return KIND.waiting(session, version + 1, at=at)


def changed(session: Session, approval: Approval) -> bool:
    """Whether the limits were changed since this was asked for: it cannot be approved as it is."""
    based_on: int = approval.details["based_on"]
    return limits.versions(session)[0][0].version != based_on


def _carry_out(
    session: Session, approval: Approval, approver: str, terms: Terms, at: datetime, address: str | None
) -> None:
    limits.publish(
        session,
        {role: Limits(**amounts) for role, amounts in approval.details["after"].items()},
        based_on=approval.details["based_on"],
        note=approval.note,
        actor=approval.requested_by,
        approved_by=approver,
        at=at,
    )


KIND = approval_kinds.register(Kind("new_limits", "limits", "edit_limits", _carry_out, unmoved="Nothing changed."))
