"""Accepting what a bill says, one row or a whole category; marking as reviewed what we do not know."""

from __future__ import annotations

from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from blueprints import access, formats
from blueprints.admin import bills_check, blueprint
from extensions import db
from makegood import bills
from makegood.bills import acceptance, comparison, reviews
from makegood.bills.comparison import Scope
from makegood.errors import Conflict, Invalid
from makegood.stats import begin_snapshot

MOST_DIGITS = 15
UNKNOWN = "unknown"


@blueprint.post("/bills/<uuid:bill_id>/<category>/generations/<uuid:generation_id>/accept")
@access.requires("check_bills")
def accept_bill(bill_id: UUID, category: str, generation_id: UUID) -> ResponseReturnValue:
    """Accept one row as it was shown."""
    bills_check.known(bill_id, category)
    net, recorded = _micros(request.form.get("net", "")), request.form.get("recorded", "")
    try:
        if net is None or (recorded and _micros(recorded) is None):
            raise Conflict(acceptance.CHANGED)
        done = bills.accept(
            db.session(),
            generation_id,
            net=net,
            recorded=_micros(recorded),
            actor=access.actor(),
            address=access.client_address(),
        )
    except Conflict as conflict:
        db.session.rollback()
        begin_snapshot(db.session())
        return bills_check.category_page(bill_id, category, conflict.message), 409
    db.session.commit()
    flash(f"The recorded cost is {formats.usd_exact(done.after)} now. Credits did not change.", "ok")
    place = {name: request.args.get(name) for name in ("older", "newer")}
    return redirect(url_for("admin.bill_category", bill_id=bill_id, category=category, **place), 303)


@blueprint.get("/bills/<uuid:bill_id>/<category>/accept")
@access.requires("check_bills")
def accept_bill_category_form(bill_id: UUID, category: str) -> str:
    """What accepting all of a category would do."""
    begin_snapshot(db.session())
    return _form(bill_id, category)


@blueprint.post("/bills/<uuid:bill_id>/<category>/accept")
@access.requires("check_bills")
def accept_bill_category(bill_id: UUID, category: str) -> ResponseReturnValue:
    """Accept all of a category, or mark all of its lines as reviewed, with the count typed."""
    typed, note = request.form.get("typed", "")[:20], request.form.get("note", "").replace("\r\n", "\n")
    who = {"actor": access.actor(), "address": access.client_address()}
    try:
        if category == UNKNOWN:
            count = bills.review_all(db.session(), bill_id, note, typed=typed, **who)
            said = f"Marked {formats.counted(count, 'line')} as reviewed."
        else:
            seen = request.form.get("seen", "")
            done = bills.accept_all(db.session(), bill_id, category, typed=typed, seen=seen, **who)
            count = formats.counted(done.rows, "generation")
            said = (
                f"The recorded costs of {count} are {formats.usd_exact(done.after)} now. Credits did not change."
            )
    except (Conflict, Invalid) as refusal:
        db.session.rollback()
        begin_snapshot(db.session())
        return _form(bill_id, category, typed, note, refusal), refusal.status
    db.session.commit()
    flash(said, "ok")
    return redirect(url_for("admin.bill", bill_id=bill_id), 303)


@blueprint.get("/bills/lines/<uuid:line_id>")
def bill_line(line_id: UUID) -> str:
    """One line as the provider wrote it."""
    return _line(line_id)


@blueprint.post("/bills/lines/<uuid:line_id>/review")
@access.requires("check_bills")
def review_bill_line(line_id: UUID) -> ResponseReturnValue:
    """Mark a line as reviewed, with a note."""
    note = request.form.get("note", "").replace("\r\n", "\n")
    try:
        bills.review(db.session(), line_id, note, actor=access.actor(), address=access.client_address())
    except (Conflict, Invalid) as refusal:
        db.session.rollback()
        return _line(line_id, note, refusal), refusal.status
    db.session.commit()
    flash("Marked as reviewed. Nothing was adjusted.", "ok")
    return redirect(url_for("admin.bill_line", line_id=line_id), 303)


def _form(
    bill_id: UUID, category: str, typed: str = "", note: str = "", refusal: Conflict | Invalid | None = None
) -> str:
    bill, kind = bills_check.known(bill_id, category)
    if category == UNKNOWN:
        waiting = comparison.waiting(db.session(), Scope.of(bill), category, acceptance.MOST)
        preview = acceptance.Preview(len(waiting), 0, sum(row.net for row in waiting), 0, "")
    else:
        preview = acceptance.preview_all(db.session(), bill_id, category)
    return render_template(
        "admin/bill_accept.html",
        bill=bill,
        category=kind,
        preview=preview,
        typed=typed,
        note=note,
        refusal=refusal,
        most=acceptance.MOST,
    )


def _line(line_id: UUID, note: str = "", refusal: Conflict | Invalid | None = None) -> str:
    line = reviews.line(db.session(), line_id)
    bill = bills.get(db.session(), line.bill_id)
    return render_template("admin/bill_line.html", line=line, bill=bill, note=note, refusal=refusal)


def _micros(text: str) -> int | None:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS else None
