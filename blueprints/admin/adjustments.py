"""Giving a customer credits or taking some away by hand, and asking for it beyond the operator's limits.

The form is a plain one: it works without JavaScript. With it, the same form opens in a dialog and is answered in
place. Beyond the limits the same form asks a second operator instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from blueprints import access, formats
from blueprints.admin import blueprint, rooms
from blueprints.admin.dialogs import given, in_place, leave, tell
from extensions import db
from makegood import adjustment_approvals, adjustments, customers, ids, ledger, throttles
from makegood.errors import Conflict, IdempotencyConflict, Invalid, NeedsApproval
from makegood.rooms import GIFT, TAKING

MOST_DIGITS = 12
GIVE, TAKE = "give", "take"
STALE_FORM = "The form was incomplete. No credits moved. Check it and send it again."


@dataclass(frozen=True)
class AdjustmentForm:
    """The form as it is shown: what was typed, and what is wrong with it. `ask`: it asks a second operator."""

    direction: str = GIVE
    credits: str = ""
    reason: str = ""
    note: str = ""
    key: str = field(default_factory=lambda: str(ids.uuid7()))
    problems: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    ask: bool = False

    @property
    def amount(self) -> int:
        """The credits with their sign; 0, which is never valid, for anything that is no number."""
        valid = self.credits.isascii() and self.credits.isdigit() and len(self.credits) <= MOST_DIGITS
        return (int(self.credits) if valid else 0) * (-1 if self.direction == TAKE else 1)


@blueprint.get("/adjustments/<identifier:customer_id>", merge_slashes=False)
@access.requires("adjust_credits")
def adjustment_form(customer_id: str) -> ResponseReturnValue:
    """The form: a dialog for htmx, else a page."""
    template = "admin/adjustment_dialog.html" if in_place() else "admin/adjustment.html"
    return _show(customer_id, AdjustmentForm(), template)


@blueprint.post("/adjustments/<identifier:customer_id>", merge_slashes=False)
@access.requires("adjust_credits")
@access.throttled(throttles.REFUNDS)
def adjust(customer_id: str) -> ResponseReturnValue:
    """Adjust: back to the customer's page, or the form again with what is wrong."""
    form = _sent()
    again = "admin/_adjustment_form.html" if in_place() else "admin/adjustment.html"
    if form is None:
        return _show(customer_id, AdjustmentForm(summary=STALE_FORM), again), 422
    if (asked := rooms.confirmation(abs(form.amount))) is not None:
        return asked
    db.session.rollback()  # the operator's row is locked before anything else is read
    try:
        done = _ask(customer_id, form) if form.ask else _adjust(customer_id, form)
    except Invalid as invalid:
        db.session.rollback()
        wrong = replace(form, problems=invalid.details["fields"], summary=invalid.message)
        return _show(customer_id, wrong, again), 422
    except IdempotencyConflict as sent_before:  # what is sent now is meant as another adjustment
        db.session.rollback()
        anew = replace(form, key=str(ids.uuid7()), summary=sent_before.message)
        return _show(customer_id, anew, again), 409
    except (Conflict, NeedsApproval) as refusal:
        db.session.rollback()
        ask = isinstance(refusal, NeedsApproval)
        return _show(customer_id, replace(form, summary=refusal.message, ask=ask), again), 409
    db.session.commit()
    tell(*done)
    return leave(url_for("admin.customer", customer_id=customer_id))


def _adjust(customer_id: str, form: AdjustmentForm) -> tuple[str, str, str]:
    """Adjust: what to say of it, its address, and what that is called."""
    adjusted = adjustments.adjust(
        db.session(), customer_id, form.amount, rooms.terms(), **given(form.note, form.key, reason=form.reason)
    )
    credits = formats.counted(abs(adjusted.credits), "credit")
    done = f"Gave {credits} to" if adjusted.credits > 0 else f"Took {credits} from"
    entry = ledger.entry(db.session(), adjusted.transaction_id)
    address = url_for("admin.customer", customer_id=customer_id, _anchor=f"entry-{entry}")
    return f"{done} {customer_id}.", address, "See it in the ledger"


def _ask(customer_id: str, form: AdjustmentForm) -> tuple[str, str, str]:
    asked = adjustment_approvals.ask(
        db.session(), customer_id, form.amount, **given(form.note, form.key, reason=form.reason)
    )
    what = f"{'giving' if asked.credits > 0 else 'taking'} {formats.counted(abs(asked.credits), 'credit')}"
    message = f"Asked for approval of {what}. No credits have moved; a second operator has to approve."
    return message, url_for("admin.approval", approval_id=asked.id), "See the request"


def _sent() -> AdjustmentForm | None:
    """The form as sent; None when what a person does not type is not there."""
    sent = request.form
    try:
        key = str(UUID(sent.get("idempotency_key", "")))
    except ValueError:
        return None
    if sent.get("direction") not in (GIVE, TAKE):
        return None
    return AdjustmentForm(
        direction=sent["direction"],
        credits=sent.get("credits", "").strip(),
        reason=sent.get("reason", ""),
        note=sent.get("note", "").replace("\r\n", "\n"),
        key=key,
        ask=sent.get("ask") == "1",
    )


def _show(customer_id: str, form: AdjustmentForm, template: str) -> str:
    return render_template(
        template,
        customer=customers.get(db.session(), customer_id),
        balance=ledger.balance(db.session(), customer_id),
        form=form,
        reasons=adjustments.REASONS,
        most=adjustments.MAX_CREDITS,
        giving=rooms.room(GIFT),
        taking=rooms.room(TAKING),
        waiting=adjustment_approvals.waiting(db.session(), customer_id, at=datetime.now(UTC)),
    )
