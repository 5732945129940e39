"""Reversing a refund: a dialog, and a page of its own without JavaScript."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from blueprints import access, formats
from blueprints.admin import blueprint
from blueprints.admin.dialogs import in_place, leave, opened_from, tell
from extensions import db
from makegood import ids, limits, reversals, throttles
from makegood.errors import Conflict, Invalid


@dataclass(frozen=True)
class ReversalForm:
    """The form as it is shown: what was typed, and what is wrong with it."""

    note: str = ""
    key: str = field(default_factory=lambda: str(ids.uuid7()))
    summary: str = ""
    problems: dict[str, str] = field(default_factory=dict)


@blueprint.get("/refunds/<uuid:refund_id>/reverse")
@access.requires("reverse_refund")
def reversal_form(refund_id: UUID) -> str:
    """What would be taken back, or why nothing can be."""
    template = "admin/reversal_dialog.html" if in_place() else "admin/reversal.html"
    return _shown(template, refund_id, ReversalForm())


@blueprint.post("/refunds/<uuid:refund_id>/reverse")
@access.requires("reverse_refund")
@access.throttled(throttles.REFUNDS)
def reverse_refund(refund_id: UUID) -> ResponseReturnValue:
    """Take it back: to the generation's page, or the form again with what is wrong."""
    form = ReversalForm(request.form.get("note", "").replace("\r\n", "\n"), _key())
    large = limits.of(db.session(), current_user.role).confirm_from
    credits = reversals.look(db.session(), refund_id).refund.credits
    if large is not None and credits >= large and (asked := access.needs_confirmation()) is not None:
        return asked
    try:
        made = reversals.reverse(
            db.session(),
            refund_id,
            note=form.note,
            actor=access.actor(),
            idempotency_key=form.key,
            address=access.client_address(),
        )
    except (Invalid, Conflict) as error:
        db.session.rollback()
        template = "admin/_reversal_form.html" if in_place() else "admin/reversal.html"
        again = ReversalForm(form.note, form.key, error.message, error.details.get("fields", {}))
        return _shown(template, refund_id, again), error.status
    message = f"Reversed: {formats.counted(made.credits, 'credit')} taken back from {made.customer_id}."
    page = url_for("admin.generation", generation_id=made.generation_id)
    address, target = f"{page}#reversal-{made.id}", opened_from(page)
    db.session.commit()
    tell(message, address, "See the reversal")
    return leave(target)


def _shown(template: str, refund_id: UUID, form: ReversalForm) -> str:
    return render_template(template, prospect=reversals.look(db.session(), refund_id), form=form)


def _key() -> str:
    try:
        return str(UUID(request.form.get("idempotency_key", "")))
    except ValueError:
        return str(ids.uuid7())
