"""What each role may give and take alone: the limits that hold, their versions, and new ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from blueprints import access, formats
from blueprints.admin import blueprint, exports, filters
from extensions import db
from makegood import admins, limit_approvals, limits
from makegood.errors import Conflict, Invalid
from makegood.limits import AMOUNTS, ROLES, Limits
from makegood.models import Approval, RefundLimit

GROUPS = {
    "Giving credits": ("per_refund", "per_adjustment", "per_day"),
    "Taking credits": ("per_taking", "per_taking_day"),
    "Refunds in bulk": ("per_bulk", "per_bulk_day"),
    "Proving who they are": ("confirm_from",),
}
LABELS = {
    "per_refund": "One refund",
    "per_adjustment": "One adjustment that gives",
    "per_day": "All given on a day",
    "per_taking": "One adjustment that takes, or reversal",
    "per_taking_day": "All taken on a day",
    "per_bulk": "One bulk refund",
    "per_bulk_day": "All bulk refunds of a day",
    "confirm_from": "Asks for the password from",
}
MEANINGS = {
    "per_refund": "Above it, a second operator approves.",
    "per_adjustment": "Only admins adjust credits.",
    "per_day": "Refunds and adjustments of an operator together, those they approved too.",
    "per_taking": "Above it, a second operator approves.",
    "per_taking_day": "Adjustments and reversals of an operator together, those they approved too.",
    "per_bulk": "All its credits together. Only admins refund in bulk.",
    "per_bulk_day": "All that an operator confirmed, and those they approved.",
    "confirm_from": "Moving so many credits asks for the password or a code, once in 10 minutes.",
}
MOST_DIGITS = 13
SHOWN = 20
NOT_A_NUMBER = -1


@dataclass(frozen=True)
class LimitForm:
    """The form as it is shown."""

    values: dict[str, str]
    note: str
    based_on: int
    problems: dict[str, str] = field(default_factory=dict)
    summary: str = ""


@blueprint.get("/limits", endpoint="limits")
@access.requires("view")
def show_limits() -> str:
    """The limits that hold, and the versions before."""
    versions = limits.versions(db.session())
    before: list[list[RefundLimit] | None] = [*versions[1:], None]
    return render_template(
        "admin/limits.html",
        filters=filters.read(()),
        current=versions[0],
        versions=[(rows, _changes(rows, before)) for rows, before in zip(versions[:SHOWN], before, strict=False)],
        groups=GROUPS,
        labels=LABELS,
        meanings=MEANINGS,
        waiting=limit_approvals.waiting(db.session(), versions[0][0].version, at=datetime.now(UTC)),
    )


@blueprint.get("/limits/change")
@access.requires("edit_limits")
def limits_form() -> ResponseReturnValue:
    """The form, with the limits that hold."""
    current = limits.versions(db.session())[0]
    values = {f"{row.role}_{name}": _written(getattr(row, name)) for row in current for name in AMOUNTS}
    return _form(LimitForm(values, "", current[0].version))


@blueprint.post("/limits/change")
@access.requires("edit_limits")
@access.confirmed
def change_limits() -> ResponseReturnValue:
    """Publish new limits, or ask a second admin for higher ones."""
    form = _sent()
    wanted = {role: Limits(**{name: _read(form.values[f"{role}_{name}"]) for name in AMOUNTS}) for role in ROLES}
    try:
        made = limit_approvals.change(
            db.session(),
            wanted,
            based_on=form.based_on,
            note=form.note,
            actor=access.actor(),
            at=datetime.now(UTC),
            address=access.client_address(),
        )
    except (Invalid, Conflict) as error:
        db.session.rollback()
        problems = error.details.get("fields", {})
        return _form(LimitForm(form.values, form.note, form.based_on, problems, error.message), error.status)
    page = url_for("admin.limits")
    if isinstance(made, Approval):
        lowered = made.details["based_on"] != form.based_on
        now = "The lower limits hold from now on" if lowered else "Nothing is changed yet"
        flash(f"{now}. Another admin has to approve the higher ones.", "ok")
        page = url_for("admin.approval", approval_id=made.id)
    else:
        flash(f"Version {made} of the limits holds from now on.", "ok")
    db.session.commit()
    return redirect(page, 303)


def _changes(rows: list[RefundLimit], before: list[RefundLimit] | None) -> dict[str, list[str]]:
    """By role, what a version said otherwise than the one before it; all that the first one said."""
    was = {row.role: row for row in before or ()}
    found: dict[str, list[str]] = {}
    for row in rows:
        for name, label in LABELS.items():
            amount = said(name, getattr(row, name))
            old = said(name, getattr(was[row.role], name)) if row.role in was else None
            if amount != old:
                change = amount if old is None else f"{old} → {amount}"
                found.setdefault(row.role, []).append(f"{label[0].lower()}{label[1:]} {change}")
    return found


def said(name: str, amount: int | None) -> str:
    """A limit's amount in credits, as it is shown in a sentence."""
    return formats.number(amount) if amount is not None else "never" if name == "confirm_from" else "no limit"


def _sent() -> LimitForm:
    names = [f"{role}_{name}" for role in ROLES for name in AMOUNTS]
    based_on = request.form.get("based_on", "")
    return LimitForm(
        {name: request.form.get(name, "").strip()[:20] for name in names},
        request.form.get("note", "").replace("\r\n", "\n"),
        int(based_on) if based_on.isascii() and based_on.isdigit() and len(based_on) < 10 else 0,
    )


def _form(form: LimitForm, status: int = 200) -> ResponseReturnValue:
    shown: dict[str, Any] = {"groups": GROUPS, "labels": LABELS, "meanings": MEANINGS, "roles": ROLES}
    shown["takes_two"] = admins.others(db.session(), access.actor(), at=datetime.now(UTC))
    return render_template("admin/limits_form.html", form=form, **shown), status


def _read(text: str) -> int | None:
    digits = text.replace(",", "")
    if not digits:
        return None
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS else NOT_A_NUMBER


def _written(amount: int | None) -> str:
    return "" if amount is None else str(amount)


exports.add(
    exports.Table(
        "limits",
        "Limits",
        "admin.limits",
        lambda: select(*RefundLimit.__table__.columns).order_by(RefundLimit.version.desc(), RefundLimit.role),
        (
            exports.column("version"),
            exports.column("role"),
            *(exports.column(name) for name in AMOUNTS),
            exports.column("author", "actor"),
            exports.column("note"),
            exports.column("since", "created_at"),
        ),
    )
)
