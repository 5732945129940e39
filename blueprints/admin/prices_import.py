"""Importing a CSV file into the price book: sent, previewed, and then applied exactly as previewed."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from blueprints import access, formats
from blueprints.admin import blueprint
from extensions import db
from makegood.errors import Invalid
from makegood.prices import changes, imports, sheet

MOST_CHARACTERS = sheet.MOST_BYTES


@blueprint.get("/prices/import")
@access.requires("edit_prices")
def import_form() -> str:
    """Where a file is chosen or pasted."""
    return _page()


@blueprint.post("/prices/import")
@access.requires("edit_prices")
def preview_import() -> ResponseReturnValue:
    """What the file would change, or what is wrong with it."""
    try:
        text = _sent()
    except Invalid as invalid:
        return _page(problem=invalid.message, text=_legible()), 422
    preview = imports.preview(db.session(), text)
    return _page(preview, text=text), 422 if preview.bad else 200


@blueprint.post("/prices/import/apply")
@access.requires("edit_prices")
def apply_import() -> ResponseReturnValue:
    """Import what was previewed."""
    text = _newlines(request.form.get("text", ""))
    try:
        done = imports.apply(
            db.session(),
            text,
            fingerprint=request.form.get("fingerprint", ""),
            confirmed=request.form.get("confirmed") == "yes",
            actor=access.actor(),
            at=datetime.now(UTC),
            address=access.client_address(),
        )
    except imports.ImportChanged as changed:
        db.session.rollback()
        return _page(imports.preview(db.session(), text), problem=changed.message, text=text), 409
    except Invalid as invalid:
        db.session.rollback()
        preview = imports.preview(db.session(), text)
        leap = isinstance(invalid, changes.Unconfirmed)
        return _page(preview, problem=invalid.message, text=text, leap=leap), 422
    db.session.commit()
    counts = ", ".join(f"{done.count(kind)} {kind}" for kind in ("new", "changed", "ended") if done.count(kind))
    total = formats.counted(len(done.effective), "price")
    flash(f"Imported {total}: {counts}. Costs of the past stay as they are until they are recomputed.", "ok")
    return redirect(url_for("admin.prices"), 303)


def _sent() -> str:
    """The text of the chosen file or, without one, what was pasted. Raises Invalid."""
    file = request.files.get("file")
    content = file.read(sheet.MOST_BYTES + 1) if file is not None and file.filename else b""
    text = sheet.decode(content or request.form.get("text", "").encode())
    if not text.strip():
        raise Invalid("There is nothing to import. Choose a file, or paste its text.")
    return _newlines(text)


def _legible() -> str:
    """What came, as far as it can be shown, so that it can be mended in place."""
    file = request.files.get("file")
    if file is None or not file.filename:
        return request.form.get("text", "")[:MOST_CHARACTERS]
    file.seek(0)
    return file.read(sheet.MOST_BYTES).decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _newlines(text: str) -> str:
    """A form's text area turns every line's end into CR LF; the fingerprint must not depend on that."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _page(preview: imports.Preview | None = None, *, problem: str = "", text: str = "", leap: bool = False) -> str:
    return render_template(
        "admin/prices_import.html",
        preview=preview,
        problem=problem,
        text=text,
        leap=leap,
        header=",".join(sheet.HEADER),
        most_rows=sheet.MOST_ROWS,
    )
