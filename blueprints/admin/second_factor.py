"""Setting up the operator's own second factor: the QR code, the recovery codes, and taking it away."""

from __future__ import annotations

from datetime import UTC, datetime

import segno
from flask import current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from markupsafe import Markup

from blueprints import access
from blueprints.admin import blueprint
from extensions import db
from makegood import second_factor as factors
from makegood import sessions
from makegood.errors import Conflict, Invalid


@blueprint.get("/account/second-factor")
@access.requires("view")
@access.confirmed
def second_factor() -> str:
    """A new secret, as a QR code and in words. It counts once a code of it was typed."""
    return _form()


@blueprint.post("/account/second-factor")
@access.requires("view")
@access.confirmed
def set_up_second_factor() -> ResponseReturnValue:
    """Make it the second factor, end the other sessions, and show the recovery codes, this once."""
    now, operator_id = datetime.now(UTC), current_user.operator_id
    try:
        codes = factors.begin(
            db.session(),
            current_app.extensions["vault"],
            operator_id,
            request.form.get("secret", ""),
            request.form.get("code", ""),
            address=access.client_address(),
            now=now,
        )
    except Invalid as invalid:
        db.session.rollback()
        return _form(request.form["secret"], error=invalid.message), invalid.status
    except Conflict as conflict:
        db.session.rollback()
        return _form(error=conflict.message), conflict.status
    sessions.end_all(db.session(), operator_id, now=now, keep=current_user.session_id)
    db.session.commit()
    return render_template("admin/recovery_codes.html", codes=codes, fresh=True)


@blueprint.post("/account/second-factor/codes")
@access.requires("view")
@access.confirmed
def renew_recovery_codes() -> str:
    """New recovery codes in place of those before, shown this once."""
    codes = factors.renew_codes(db.session(), current_user.operator_id, address=access.client_address())
    db.session.commit()
    return render_template("admin/recovery_codes.html", codes=codes, fresh=False)


@blueprint.post("/account/second-factor/remove")
@access.requires("view")
@access.confirmed
def remove_second_factor() -> ResponseReturnValue:
    """Take it away, where the deployment leaves that to operators."""
    if access.requires_second_factor():
        raise Conflict("Your role needs a second factor. You can replace it, but not remove it.")
    factors.remove(db.session(), current_user.operator_id, actor=access.actor(), address=access.client_address())
    db.session.commit()
    flash("Your second factor is removed. A password is enough to log in.", "ok")
    return redirect(url_for("admin.account"), 303)


def _form(sealed: str | None = None, *, error: str | None = None) -> str:
    """The form with this proposal, or with a new one."""
    vault, operator_id = current_app.extensions["vault"], current_user.operator_id
    sealed = sealed or factors.propose(vault, operator_id)
    secret = factors.proposed(vault, operator_id, sealed) or ""
    code = segno.make(factors.address(secret, current_user.email), error="m", micro=False)
    return render_template(
        "admin/second_factor.html",
        picture=Markup(code.svg_inline(scale=5, border=4, light="#fff", dark="#000")),  # noqa: S704 (our own)
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        sealed=sealed,
        required=access.lacks_second_factor(),
        error=error,
    )
