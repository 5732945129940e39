"""API keys of the platform's backend: made here, shown once, revoked here."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from blueprints import access
from blueprints.admin import blueprint, exports
from blueprints.admin.dialogs import in_place
from extensions import db
from makegood import api_keys, ids
from makegood.errors import Conflict, Invalid
from makegood.models import ApiKey

SCOPES = {
    "platform": "charges, submits and refunds generations, and moves credits: for the platform's backend",
    "stats": "reads figures and metrics: for monitoring",
}


@blueprint.get("/api-keys", endpoint="api_keys")
@access.requires("manage_keys")
def api_keys_list() -> str:
    """The keys in use, and those that were revoked."""
    keys = api_keys.listed(db.session())
    return render_template("admin/api_keys.html", keys=sorted(keys, key=lambda key: key.revoked_at is not None))


@blueprint.get("/api-keys/new")
@access.requires("manage_keys")
def api_key_form() -> str:
    """The form: a dialog for htmx, else a page."""
    return _form("admin/api_key_dialog.html" if in_place() else "admin/api_key_form.html", str(ids.uuid7()))


@blueprint.post("/api-keys/new")
@access.requires("manage_keys")
@access.confirmed
def create_api_key() -> ResponseReturnValue:
    """Make a key, and show it, this once. The same form sent again makes no second one."""
    name, scopes = request.form.get("name", "").strip(), request.form.getlist("scopes")
    key_id = request.form.get("key_id", "")
    again = "admin/_api_key_form.html" if in_place() else "admin/api_key_form.html"
    try:
        key, plain = api_keys.create(
            db.session(),
            name,
            scopes,
            actor=access.actor(),
            key_id=_uuid(key_id),
            address=access.client_address(),
        )
    except (Invalid, Conflict) as error:
        db.session.rollback()
        fresh = str(ids.uuid7()) if isinstance(error, Conflict) else key_id
        problems = error.details.get("fields", {})
        return _form(again, fresh, name, scopes, error.message, problems), error.status
    db.session.commit()
    template = "admin/_api_key_made.html" if in_place() else "admin/api_key_made.html"
    return render_template(template, key=key, plain=plain)


@blueprint.post("/api-keys/<uuid:key_id>/revoke")
@access.requires("manage_keys")
@access.confirmed
def revoke_api_key(key_id: UUID) -> ResponseReturnValue:
    """End a key at once."""
    key = api_keys.revoke_one(
        db.session(), key_id, actor=access.actor(), now=datetime.now(UTC), address=access.client_address()
    )
    name = key.name
    db.session.commit()
    flash(f"{name} is revoked: its next request is refused.", "ok")
    return redirect(url_for("admin.api_keys"), 303)


def _form(
    template: str,
    key_id: str,
    name: str = "",
    scopes: list[str] | None = None,
    summary: str = "",
    problems: dict[str, str] | None = None,
) -> str:
    return render_template(
        template,
        key_id=key_id,
        name=name[:100],
        chosen=scopes or [],
        scopes=SCOPES,
        summary=summary,
        problems=problems or {},
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


exports.add(
    exports.Table(
        "api-keys",
        "API keys",
        "admin.api_keys",
        lambda: select(
            ApiKey.id,
            ApiKey.name,
            ApiKey.hint,
            ApiKey.scopes,
            ApiKey.created_at,
            ApiKey.created_by,
            ApiKey.used_at,
            ApiKey.revoked_at,
            ApiKey.revoked_by,
        ).order_by(ApiKey.id),
        (
            exports.column("key_id", "id"),
            exports.column("name"),
            exports.column("first_characters", "hint"),
            exports.Column("scopes", lambda row: " ".join(row.scopes)),
            exports.column("created_at"),
            exports.column("created_by"),
            exports.column("last_used_at", "used_at"),
            exports.column("revoked_at"),
            exports.column("revoked_by"),
        ),
        action="manage_keys",
    )
)
