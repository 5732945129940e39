"""A provider's bill as CSV: uploaded, previewed with its columns, corrected, imported or discarded."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict
from werkzeug.utils import secure_filename

from blueprints import access
from blueprints.admin import bills as bill_pages
from blueprints.admin import blueprint
from extensions import db
from makegood import bills
from makegood.bills import Draft, Mapping
from makegood.bills.columns import FIELDS
from makegood.bills.drafts import CREDITS, MOST_BYTES, USD
from makegood.errors import Invalid

SHOWN_ROWS = 8
SHOWN_PROBLEMS = 1000
FORM_BYTES = 10_000


@blueprint.url_value_preprocessor
def admit_files(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Let a file in that is larger than other requests may be; before the form's token is read from it."""
    if endpoint == "admin.upload_bill":
        request.max_content_length = MOST_BYTES + FORM_BYTES


@blueprint.post("/bills/upload")
@access.requires("check_bills")
def upload_bill() -> ResponseReturnValue:
    """Keep a file as a draft, and show what it says."""
    form = {name: request.form.get(name, "").strip()[:200] for name in ("provider", "from", "to")}
    file = request.files.get("file")
    try:
        if form["provider"] not in bill_pages.providers():
            raise Invalid("The file was not kept.", fields={"provider": "must be one of the list"})
        if file is None or not file.filename:
            raise Invalid("The file was not kept.", fields={"file": "must be chosen"})
        bill = bills.keep(
            db.session(),
            form["provider"],
            secure_filename(file.filename)[-200:] or "bill.csv",
            file.read(),
            *bill_pages.days(form),
            current_app.config["SETTINGS"].terms.timezone,
            actor=access.actor(),
        )
    except Invalid as refusal:
        db.session.rollback()
        return bill_pages.list_page(upload=form, refusal=refusal), refusal.status
    target = url_for("admin.bill", bill_id=bill.id)
    db.session.commit()
    return redirect(target, 303)


@blueprint.post("/bills/<uuid:bill_id>/import")
@access.requires("check_bills")
def import_bill(bill_id: UUID) -> ResponseReturnValue:
    """Import a draft as a whole, or show every row that stands in the way."""
    draft = bills.import_draft(
        db.session(),
        bill_id,
        _mapping(request.form) or Mapping({}),
        actor=access.actor(),
        address=access.client_address(),
    )
    if not draft.ready:
        db.session.rollback()
        return _page(draft), 422
    flash(f"Imported {draft.bill.lines_added:,} lines of {draft.bill.provider}.", "ok")
    db.session.commit()
    return redirect(url_for("admin.bill", bill_id=bill_id), 303)


@blueprint.post("/bills/<uuid:bill_id>/discard")
@access.requires("check_bills")
def discard_bill(bill_id: UUID) -> ResponseReturnValue:
    """Forget a draft."""
    bills.discard(db.session(), bill_id)
    db.session.commit()
    flash("The file was discarded. Nothing was imported.", "ok")
    return redirect(url_for("admin.bills"), 303)


def preview_page(bill_id: UUID) -> str:
    """What a draft would bring, with its columns as guessed or as the URL says."""
    return _page(bills.preview(db.session(), bill_id, _mapping(request.args)))


def _page(draft: Draft) -> str:
    return render_template(
        "admin/bill_draft.html",
        draft=draft,
        bill=draft.bill,
        fields=FIELDS,
        lines=draft.reading.lines[:SHOWN_ROWS],
        problems=draft.reading.problems[:SHOWN_PROBLEMS],
    )


def _mapping(sent: MultiDict[str, str]) -> Mapping | None:
    """The columns that a form names; None where it names none. What is no number is none of the columns."""
    if not any(name in sent for name in FIELDS):
        return None
    chosen = {name: sent.get(name, "") for name in FIELDS}
    columns = {
        name: int(value) if value.isascii() and value.isdigit() and len(value) <= 4 else -1
        for name, value in chosen.items()
        if value
    }
    currency = CREDITS if sent.get("currency") == CREDITS else USD
    return Mapping(columns, currency, sent.get("rate", "").strip()[:40])
