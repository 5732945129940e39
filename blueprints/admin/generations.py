"""The generation page, and the manual refund.

The refund is a plain form: it works without JavaScript. With it, the same form opens in a dialog and is
answered in place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from flask import current_app, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from blueprints import access, formats
from blueprints.admin import blueprint
from blueprints.admin.dialogs import in_place, leave
from extensions import db
from makegood import ids, refunds, stories, throttles
from makegood.errors import Conflict, Invalid
from makegood.stats import begin_snapshot

MOST_DIGITS = 12
STALE_FORM = "The form was incomplete. No credits moved. Check it and send it again."


@dataclass(frozen=True)
class RefundForm:
    """The refund form as it is shown: what was typed, and what is wrong with it."""

    credits: str
    reason: str = ""
    note: str = ""
    key: str = field(default_factory=lambda: str(ids.uuid7()))
    problems: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    changed: bool = False

    @property
    def amount(self) -> int:
        """The credits as a number; 0, which is never valid, for anything that is none."""
        return _whole(self.credits) or 0


@blueprint.get("/generations/<uuid:generation_id>")
def generation(generation_id: UUID) -> str:
    """The generation's whole story."""
    begin_snapshot(db.session())
    return render_template("admin/generation.html", story=stories.tell(db.session(), generation_id))


@blueprint.get("/generations/<uuid:generation_id>/refund")
@access.requires("refund")
def refund_form(generation_id: UUID) -> ResponseReturnValue:
    """The refund form: a dialog for htmx, else a page. It proposes all that is left."""
    begin_snapshot(db.session())
    story = stories.tell(db.session(), generation_id)
    template = "admin/refund_dialog.html" if in_place() else "admin/refund.html"
    form = RefundForm(credits=str(story.refundable))
    return render_template(template, story=story, form=form, reasons=refunds.REASONS)


@blueprint.post("/generations/<uuid:generation_id>/refund")
@access.requires("refund")
@access.throttled(throttles.REFUNDS)
def refund(generation_id: UUID) -> ResponseReturnValue:
    """Refund by hand: back to the generation's page, or the form again with what is wrong."""
    form, expected = _sent(request.form)
    if expected is None or not form.key:
        return _again(generation_id, form, 422, summary=STALE_FORM)
    try:
        issued = refunds.issue_manual(
            db.session(),
            generation_id,
            current_app.config["SETTINGS"].terms,
            credits=form.amount,
            reason=form.reason,
            note=form.note,
            actor=access.actor(),
            idempotency_key=form.key,
            expected_refunded=expected,
            address=access.client_address(),
        )
    except Invalid as invalid:
        return _again(generation_id, form, 422, summary=invalid.message, problems=invalid.details.get("fields"))
    except Conflict as conflict:
        return _again(generation_id, form, 409, summary=conflict.message, changed=True)
    message = f"Refunded {formats.counted(issued.credits, 'credit')} to {issued.customer_id}."
    db.session.commit()
    flash(message, "ok")
    target = url_for("admin.generation", generation_id=generation_id)
    return leave(target)


def _sent(sent: MultiDict[str, str]) -> tuple[RefundForm, int | None]:
    """The form as sent, and how much had been refunded when it was shown."""
    form = RefundForm(
        credits=sent.get("credits", "").strip(),
        reason=sent.get("reason", ""),
        note=sent.get("note", "").replace("\r\n", "\n"),
        key=_key(sent.get("idempotency_key", "")),
    )
    return form, _whole(sent.get("expected_refunded", ""))


def _again(
    generation_id: UUID,
    form: RefundForm,
    status: int,
    *,
    summary: str,
    problems: dict[str, str] | None = None,
    changed: bool = False,
) -> ResponseReturnValue:
    begin_snapshot(db.session())
    story = stories.tell(db.session(), generation_id)
    shown = RefundForm(
        form.credits,
        form.reason,
        form.note,
        form.key or str(ids.uuid7()),
        problems or {},
        summary,
        changed,
    )
    template = "admin/_refund_form.html" if in_place() else "admin/refund.html"
    return render_template(template, story=story, form=shown, reasons=refunds.REASONS), status


def _key(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""


def _whole(text: str) -> int | None:
    valid = text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
    return int(text) if valid else None
