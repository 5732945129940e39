"""Reversing a refund, or asking for it beyond the operator's limits: a dialog, and a page without JavaScript."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from blueprints import access, formats
from blueprints.admin import blueprint, rooms
from blueprints.admin.dialogs import given, in_place, leave, opened_from, tell
from extensions import db
from makegood import ids, reversal_approvals, reversals, throttles
from makegood.errors import Conflict, Invalid, NeedsApproval
from makegood.rooms import REVERSAL


@dataclass(frozen=True)
class ReversalForm:
    """The form as it is shown: what was typed, and what is wrong with it. `ask`: it asks a second operator."""

    note: str = ""
    key: str = field(default_factory=lambda: str(ids.uuid7()))
    summary: str = ""
    problems: dict[str, str] = field(default_factory=dict)
    ask: bool = False


@blueprint.get("/refunds/<uuid:refund_id>/reverse")
@access.requires("reverse_refund")
def reversal_form(refund_id: UUID) -> str:
    """What a reversal would take, or why nothing can be reversed."""
    template = "admin/reversal_dialog.html" if in_place() else "admin/reversal.html"
    return _shown(template, refund_id, ReversalForm())


@blueprint.post("/refunds/<uuid:refund_id>/reverse")
@access.requires("reverse_refund")
@access.throttled(throttles.REFUNDS)
def reverse_refund(refund_id: UUID) -> ResponseReturnValue:
    """Reverse it, or ask for it: to the page that led here, or the form again with what is wrong."""
    note = request.form.get("note", "").replace("\r\n", "\n")
    form = ReversalForm(note, _key(), ask=request.form.get("ask") == "1")
    refund = reversals.look(db.session(), refund_id).refund
    page = url_for("admin.generation", generation_id=refund.generation_id)
    if (asked := rooms.confirmation(refund.credits)) is not None:
        return asked
    db.session.rollback()  # the operator's row is locked before anything else is read
    try:
        done = _ask(refund_id, form) if form.ask else _reverse(refund_id, form, page)
    except (Invalid, Conflict, NeedsApproval) as error:
        db.session.rollback()
        template = "admin/_reversal_form.html" if in_place() else "admin/reversal.html"
        ask = isinstance(error, NeedsApproval) or (form.ask and isinstance(error, Invalid))
        problems = error.details.get("fields", {})
        again = replace(form, summary=error.message, problems=problems, ask=ask)
        return _shown(template, refund_id, again), error.status
    db.session.commit()
    tell(*done)
    return leave(opened_from(page))


def _reverse(refund_id: UUID, form: ReversalForm, page: str) -> tuple[str, str, str]:
    """Reverse: what to say of it, its address, and what that is called."""
    made = reversals.reverse(db.session(), refund_id, rooms.terms(), **given(form.note, form.key))
    message = f"Reversed: {formats.counted(made.credits, 'credit')} taken from {made.customer_id}."
    return message, f"{page}#reversal-{made.id}", "See the reversal"


def _ask(refund_id: UUID, form: ReversalForm) -> tuple[str, str, str]:
    asked = reversal_approvals.ask(db.session(), refund_id, **given(form.note, form.key))
    credits = formats.counted(-asked.credits, "credit")
    message = f"Asked for approval of reversing {credits}. No credits have moved; another operator has to approve."
    return message, url_for("admin.approval", approval_id=asked.id), "See the request"


def _shown(template: str, refund_id: UUID, form: ReversalForm) -> str:
    return render_template(
        template,
        prospect=reversals.look(db.session(), refund_id),
        form=form,
        room=rooms.room(REVERSAL),
        waiting=reversal_approvals.waiting(db.session(), refund_id, at=datetime.now(UTC)),
    )


def _key() -> str:
    try:
        return str(UUID(request.form.get("idempotency_key", "")))
    except ValueError:
        return str(ids.uuid7())
