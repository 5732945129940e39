"""The operator's own account: preferences, password, sessions. The second factor has a page of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from flask import current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from blueprints import access, browsers, formats
from blueprints.admin import blueprint
from extensions import db
from makegood import audit, logins, preferences, second_factor, sessions, throttles
from makegood.errors import Invalid, Throttled


@blueprint.get("/account")
def account() -> ResponseReturnValue:
    """Everything about the operator who asks."""
    return _page()


@blueprint.post("/account/preferences")
@access.requires("view")
def save_preferences() -> ResponseReturnValue:
    """Keep how the operator wants the console."""
    size = request.form.get("page_size", "")
    try:
        preferences.save(
            db.session(),
            current_user.operator_id,
            timezone=request.form.get("timezone") or None,
            page_size=int(size) if size.isascii() and size.isdigit() and len(size) < 5 else 0,
            single_keys=request.form.get("single_keys") == "on",
        )
    except Invalid as invalid:
        return _page(problems=invalid.details["fields"], summary=invalid.message), invalid.status
    db.session.commit()
    flash("Your preferences are saved.", "ok")
    return redirect(url_for("admin.account"), 303)


@blueprint.post("/account/password")
@access.requires("view")
def change_password() -> ResponseReturnValue:
    """Change the password, knowing the present one. Two commits: the count stands before the hash."""
    sent, now = request.form, datetime.now(UTC)
    try:
        throttles.count_proof(db.session(), throttles.CONFIRMATIONS, current_user.operator_id, now=now)
        db.session.commit()
        if sent.get("new_password") != sent.get("again"):
            fields = {"again": "is not the same as the first"}
            raise Invalid("The two new passwords are not the same. Nothing was changed.", fields=fields)
        logins.change_password(
            db.session(),
            current_user.session_id,
            current_user.email,
            sent.get("current", ""),
            sent.get("new_password", ""),
            address=access.client_address(),
            now=now,
        )
    except (Invalid, Throttled) as error:
        db.session.rollback()
        headers = {"Retry-After": str(error.details["retry_after"])} if isinstance(error, Throttled) else {}
        return _page(problems=error.details.get("fields"), summary=error.message), error.status, headers
    db.session.commit()
    flash("Your password is changed. Your other sessions have ended.", "ok")
    return redirect(url_for("admin.account"), 303)


@blueprint.post("/account/sessions/<uuid:session_id>/end")
@access.requires("view")
def end_own_session(session_id: UUID) -> ResponseReturnValue:
    """Log the operator out somewhere else."""
    ended = sessions.end_one(db.session(), session_id, current_user.operator_id, now=datetime.now(UTC))
    _audit("session.ended", int(ended))
    flash("That session has ended." if ended else "That session had ended already.", "ok")
    return redirect(url_for("admin.account"), 303)


@blueprint.post("/account/sessions/end-others")
@access.requires("view")
def end_other_sessions() -> ResponseReturnValue:
    """Log the operator out everywhere but here."""
    now, here = datetime.now(UTC), current_user.session_id
    count = sessions.end_all(db.session(), current_user.operator_id, now=now, keep=here)
    _audit("session.others_ended", count)
    flash(f"{formats.counted(count, 'other session')} ended." if count else "No other session was running.", "ok")
    return redirect(url_for("admin.account"), 303)


def _audit(action: str, count: int) -> None:
    if count:
        audit.record(
            db.session(),
            actor=access.actor(),
            action=action,
            subject=current_user.email,
            details={"sessions": count},
            address=access.client_address(),
        )
    db.session.commit()


def _page(*, problems: dict[str, str] | None = None, summary: str = "") -> str:
    settings = current_app.config["SETTINGS"]
    return render_template(
        "admin/account.html",
        sessions=sessions.running(
            db.session(),
            current_user.operator_id,
            idle=settings.session_idle,
            lifetime=settings.session_lifetime,
            now=datetime.now(UTC),
        ),
        codes_left=second_factor.codes_left(db.session(), current_user.operator_id),
        zones=preferences.zones(),
        page_sizes=preferences.PAGE_SIZES,
        required=access.requires_second_factor(),
        named=browsers.named,
        problems=problems or {},
        summary=summary,
    )
