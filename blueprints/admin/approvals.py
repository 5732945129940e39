"""Requests that wait for a second operator: the list, and one request with what can be done about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from blueprints import access, formats
from blueprints.admin import approval_page, blueprint, exports, filters, lists, navigation, rooms
from blueprints.admin.dialogs import leave, tell
from extensions import db
from makegood import approval_list, approvals, throttles
from makegood.approval_list import ApprovalFilters
from makegood.errors import Conflict, Forbidden, Invalid, NeedsApproval

LABELS = {"state": "State", "kind": "Kind", "by": "Asked by", "customer": "Customer"}
STATES = {state: formats.words(state) for state in approval_list.STATES} | {"pending": "Waiting"}
KINDS = {
    "refund": "Refund",
    "bulk_refund": "Bulk refund",
    "adjustment": "Adjustment",
    "reversal": "Reversal",
    "new_limits": "Higher limits",
    "new_admin": "New admin",
}


@blueprint.get("/approvals", endpoint="approvals")
@access.requires("view")
def show_approvals() -> str:
    """Requests, newest first, as the filters in the URL say."""
    return render_template(
        "admin/approvals.html",
        **LIST.shown(),
        states=STATES,
        kinds=KINDS,
        as_of=datetime.now(UTC),
    )


@blueprint.get("/approvals/<uuid:approval_id>")
@access.requires("view")
def approval(approval_id: UUID) -> ResponseReturnValue:
    """One request."""
    return _shown(approval_id)


@blueprint.post("/approvals/<uuid:approval_id>/approve")
@access.requires("refund")
@access.throttled(throttles.REFUNDS)
def approve(approval_id: UUID) -> ResponseReturnValue:
    """Do what was asked for."""
    found = approvals.get(db.session(), approval_id)
    by_credits = found.kind in approval_page.OF_CREDITS
    asked = rooms.confirmation(abs(found.credits)) if by_credits else access.needs_confirmation()
    if asked is not None:
        return asked
    db.session.rollback()  # the operator's row is locked before anything else is read
    return _decide(approval_id, approvals.approve, "Approved.", note=_note(), terms=rooms.terms())


@blueprint.post("/approvals/<uuid:approval_id>/reject")
@access.requires("refund")
def reject(approval_id: UUID) -> ResponseReturnValue:
    """Say no, and why."""
    return _decide(approval_id, approvals.reject, "Rejected. No credits moved.", note=_note())


@blueprint.post("/approvals/<uuid:approval_id>/withdraw")
@access.requires("refund")
def withdraw(approval_id: UUID) -> ResponseReturnValue:
    """Take one's own request back."""
    return _decide(approval_id, approvals.withdraw, "Withdrawn. No credits moved.")


def waiting() -> int:
    """How many requests of others this operator could decide: the number beside the entry."""
    if not access.may("refund"):
        return 0
    return approval_list.waiting_for(db.session(), current_user.email, current_user.role, at=datetime.now(UTC))


def _decide(approval_id: UUID, decide: Any, message: str, **more: Any) -> ResponseReturnValue:
    now = datetime.now(UTC)
    try:
        decide(db.session(), approval_id, actor=access.actor(), at=now, address=access.client_address(), **more)
    except (Invalid, Conflict, Forbidden, NeedsApproval) as refusal:
        db.session.rollback()
        return _shown(approval_id, problem=refusal.message, status=refusal.status)
    made = approval_page.result(db.session(), approvals.get(db.session(), approval_id))
    db.session.commit()
    if made is not None:
        tell(message, *made)
    else:
        flash(message, "ok")
    return leave(url_for("admin.approval", approval_id=approval_id))


def _shown(approval_id: UUID, *, problem: str = "", status: int = 200) -> ResponseReturnValue:
    found = approvals.get(db.session(), approval_id)
    now = datetime.now(UTC)
    return render_template(
        "admin/approval.html",
        approval=found,
        title=approval_page.title(found),
        kinds=KINDS,
        states=STATES,
        about=approval_page.about(db.session(), found),
        made=approval_page.result(db.session(), found),
        obstacle=approval_page.obstacle(db.session(), found),
        changes=approval_page.changes(found),
        room=approval_page.room(found),
        own=found.requested_by == current_user.email,
        may_decide=access.may(approvals.action_of(found)),
        expired=found.state == "pending" and found.expires_at <= now,
        problem=problem,
        note=request.form.get("note", ""),
    ), status


def _note() -> str:
    return request.form.get("note", "").replace("\r\n", "\n")


def _wanted(asked: filters.Filters) -> ApprovalFilters:
    return ApprovalFilters(asked["state"], asked["kind"], asked["by"], asked["customer"], asked.start, asked.end)


navigation.badge("admin.approvals", waiting)
LIST = lists.add(
    lists.ListPage("admin.approvals", approval_list.APPROVALS, LABELS, _wanted, {"state": STATES, "kind": KINDS}),
    "approvals",
    "Approvals",
    (
        exports.column("requested_at"),
        exports.column("approval_id", "id"),
        exports.column("kind"),
        exports.column("subject"),
        exports.column("credits"),
        exports.column("note"),
        exports.column("requested_by"),
        exports.column("expires_at"),
        exports.column("state"),
        exports.column("decided_by"),
        exports.column("decided_at"),
        exports.column("decision_note"),
        exports.column("details"),
    ),
)
