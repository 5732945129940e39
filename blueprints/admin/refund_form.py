"""The manual refund, and the request for one that is beyond the operator's limits.

It is a plain form: it works without JavaScript. With it, the same form opens in a dialog and is answered in place.
Beyond the limits the same form asks a second operator instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from blueprints import access, formats
from blueprints.admin import blueprint, rooms
from blueprints.admin.dialogs import given, in_place, leave, opened_from, tell
from extensions import db
from makegood import ids, refund_approvals, refunds, stories, throttles
from makegood.errors import Conflict, IdempotencyConflict, Invalid, NeedsApproval
from makegood.rooms import REFUND
from makegood.stats import begin_snapshot

MOST_DIGITS = 12
STALE_FORM = "The form was incomplete. No credits moved. Check it and send it again."


@dataclass(frozen=True)
class RefundForm:
    """The refund form as it is shown: what was typed, and what is wrong with it.

    `changed`: the generation is not what it was; `ask`: it asks a second operator.
    """

    credits: str
    reason: str = ""
    note: str = ""
    key: str = field(default_factory=lambda: str(ids.uuid7()))
    problems: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    changed: bool = False
    ask: bool = False

    @property
    def amount(self) -> int:
        """The credits as a number; 0, which is never valid, for anything that is none."""
        return _whole(self.credits) or 0


@blueprint.get("/generations/<uuid:generation_id>/refund")
@access.requires("refund")
def refund_form(generation_id: UUID) -> ResponseReturnValue:
    """The refund form: a dialog for htmx, else a page. It proposes all that is left."""
    return _shown(generation_id, None, "admin/refund_dialog.html")


@blueprint.post("/generations/<uuid:generation_id>/refund")
@access.requires("refund")
@access.throttled(throttles.REFUNDS)
def refund(generation_id: UUID) -> ResponseReturnValue:
    """Refund by hand, or ask for it: back to the generation's page, or the form again with what is wrong."""
    form, expected = _sent(request.form)
    if expected is None or not form.key:
        return _again(generation_id, form, 422, summary=STALE_FORM)
    if (asked := rooms.confirmation(form.amount)) is not None:
        return asked
    try:
        done = _ask(generation_id, form, expected) if form.ask else _issue(generation_id, form, expected)
    except Invalid as invalid:
        problems = invalid.details.get("fields")
        return _again(generation_id, form, 422, summary=invalid.message, problems=problems or {})
    except IdempotencyConflict as sent_before:  # what is sent now is meant as another refund
        return _again(generation_id, replace(form, key=""), 409, summary=sent_before.message, changed=True)
    except Conflict as conflict:
        return _again(generation_id, form, 409, summary=conflict.message, changed=True)
    except NeedsApproval as beyond:
        return _again(generation_id, form, 409, summary=beyond.message, ask=True)
    db.session.commit()
    tell(*done)
    return leave(opened_from(url_for("admin.generation", generation_id=generation_id)))


def _issue(generation_id: UUID, form: RefundForm, expected: int) -> tuple[str, str, str]:
    """Refund: what to say of it, its address, and what that is called."""
    issued = refunds.issue_manual(
        db.session(),
        generation_id,
        rooms.terms(),
        credits=form.amount,
        expected_refunded=expected,
        **given(form.note, form.key, reason=form.reason),
    )
    message = f"Refunded {formats.counted(issued.credits, 'credit')} to {issued.customer_id}."
    address = url_for("admin.generation", generation_id=generation_id, _anchor=f"refund-{issued.id}")
    return message, address, "See the refund"


def _ask(generation_id: UUID, form: RefundForm, expected: int) -> tuple[str, str, str]:
    asked = refund_approvals.ask(
        db.session(),
        generation_id,
        credits=form.amount,
        expected_refunded=expected,
        **given(form.note, form.key, reason=form.reason),
    )
    credits = formats.counted(asked.credits, "credit")
    message = f"Asked for approval of {credits}. No credits have moved; a second operator has to approve."
    return message, url_for("admin.approval", approval_id=asked.id), "See the request"


def _sent(sent: MultiDict[str, str]) -> tuple[RefundForm, int | None]:
    """The form as sent, and how much had been refunded when it was shown."""
    form = RefundForm(
        credits=sent.get("credits", "").strip(),
        reason=sent.get("reason", ""),
        note=sent.get("note", "").replace("\r\n", "\n"),
        key=_key(sent.get("idempotency_key", "")),
        ask=sent.get("ask") == "1",
    )
    return form, _whole(sent.get("expected_refunded", ""))


def _again(generation_id: UUID, form: RefundForm, status: int, **wrong: Any) -> ResponseReturnValue:
    shown = replace(form, key=form.key or str(ids.uuid7()), **wrong)
    return _shown(generation_id, shown, "admin/_refund_form.html", status)


def _shown(generation_id: UUID, form: RefundForm | None, fragment: str, status: int = 200) -> ResponseReturnValue:
    begin_snapshot(db.session())
    story = stories.tell(db.session(), generation_id)
    return render_template(
        fragment if in_place() else "admin/refund.html",
        story=story,
        form=form or RefundForm(credits=str(story.refundable)),
        reasons=refunds.REASONS,
        room=rooms.room(REFUND),
        waiting=refund_approvals.waiting(db.session(), generation_id, at=datetime.now(UTC)),
    ), status


def _key(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""


def _whole(text: str) -> int | None:
    valid = text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
    return int(text) if valid else None
