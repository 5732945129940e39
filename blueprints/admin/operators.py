"""Operators: who may log in, as what, from where, and with what proof."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from flask import current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from blueprints import access, browsers, formats
from blueprints.admin import blueprint, exports
from blueprints.admin.invitations import WHAT_ROLES_MAY
from extensions import db
from makegood import admin_approvals, admins, audit, invitations, operators, sessions
from makegood.errors import Conflict, Invalid
from makegood.models import Approval, Operator


@blueprint.get("/operators", endpoint="operators")
@access.requires("manage_operators")
def operators_list() -> str:
    """All operators, and the invitations that wait to be accepted."""
    now = datetime.now(UTC)
    return render_template(
        "admin/operators.html",
        operators=operators.listed(db.session()),
        seen=sessions.last_seen(db.session(), **_limits(), now=now),
        invitations=invitations.listed(db.session(), now=now),
        needs_factor=_needs_factor,
    )


@blueprint.get("/operators/<uuid:operator_id>")
@access.requires("manage_operators")
def operator(operator_id: UUID) -> str:
    """One operator: role, second factor, sessions."""
    found = operators.get(db.session(), operator_id)
    now = datetime.now(UTC)
    return render_template(
        "admin/operator.html",
        operator=found,
        sessions=sessions.running(db.session(), operator_id, **_limits(), now=now),
        seen=sessions.last_seen(db.session(), **_limits(), now=now).get(operator_id),
        roles=WHAT_ROLES_MAY,
        named=browsers.named,
        needs_factor=_needs_factor(found),
        takes_two=admins.others(db.session(), access.actor(), at=now),
        waiting=admin_approvals.KIND.waiting(db.session(), found.email, at=now),
    )


@blueprint.post("/operators/<uuid:operator_id>/role")
@access.requires("manage_operators")
@access.confirmed
def set_role(operator_id: UUID) -> ResponseReturnValue:
    """Give an operator another role. It counts from their next click."""
    role = request.form.get("role", "")

    def change(email: str) -> str:
        made = admin_approvals.change_role(
            db.session(),
            email,
            role,
            actor=access.actor(),
            at=datetime.now(UTC),
            address=access.client_address(),
        )
        return _asked(made) or f"{email} is {'an' if role == 'admin' else 'a'} {role} now."

    return _changed(operator_id, change)


@blueprint.post("/operators/<uuid:operator_id>/disable")
@access.requires("manage_operators")
@access.confirmed
def disable_operator(operator_id: UUID) -> ResponseReturnValue:
    """Shut an operator out at once."""

    def change(email: str) -> str:
        operators.disable(
            db.session(), email, actor=access.actor(), now=datetime.now(UTC), address=access.client_address()
        )
        return f"{email} is disabled and logged out everywhere."

    return _changed(operator_id, change)


@blueprint.post("/operators/<uuid:operator_id>/enable")
@access.requires("manage_operators")
@access.confirmed
def enable_operator(operator_id: UUID) -> ResponseReturnValue:
    """Let a disabled operator log in again."""

    def change(email: str) -> str:
        made = admin_approvals.enable(
            db.session(),
            email,
            actor=access.actor(),
            at=datetime.now(UTC),
            address=access.client_address(),
        )
        return _asked(made) or f"{email} may log in again."

    return _changed(operator_id, change)


@blueprint.post("/operators/<uuid:operator_id>/reset-second-factor")
@access.requires("manage_operators")
@access.confirmed
def reset_second_factor(operator_id: UUID) -> ResponseReturnValue:
    """Take a lost second factor away."""

    def change(email: str) -> str:
        removed = operators.reset_second_factor(
            db.session(), email, actor=access.actor(), now=datetime.now(UTC), address=access.client_address()
        )
        return f"{email} {'has no second factor any more, and is logged out' if removed else 'had none'}."

    return _changed(operator_id, change)


@blueprint.post("/operators/<uuid:operator_id>/sessions/end")
@blueprint.post("/operators/<uuid:operator_id>/sessions/<uuid:session_id>/end", endpoint="end_session")
@access.requires("manage_operators")
def end_sessions(operator_id: UUID, session_id: UUID | None = None) -> ResponseReturnValue:
    """Log an operator out: of one session, or of all."""
    now = datetime.now(UTC)

    def change(email: str) -> str:
        if session_id is None:
            count = sessions.end_all(db.session(), operator_id, now=now)
        else:
            count = int(sessions.end_one(db.session(), session_id, operator_id, now=now))
        audit.record(
            db.session(),
            actor=access.actor(),
            action="operator.sessions_ended",
            subject=email,
            details={"sessions": count},
            address=access.client_address(),
        )
        return f"{formats.counted(count, 'session')} of {email} ended."

    return _changed(operator_id, change)


def _asked(made: Operator | Approval) -> str:
    """What is said when a second admin has to decide; nothing when it is done."""
    return "Nothing is changed yet: another admin has to approve it." if isinstance(made, Approval) else ""


def _limits() -> dict[str, timedelta]:
    settings = current_app.config["SETTINGS"]
    return {"idle": settings.session_idle, "lifetime": settings.session_lifetime}


def _changed(operator_id: UUID, change: Callable[[str], str]) -> ResponseReturnValue:
    """Make the change, say what it was or why not, and show the operator again."""
    email = operators.get(db.session(), operator_id).email
    try:
        flash(change(email), "ok")
        db.session.commit()
    except (Conflict, Invalid) as error:
        db.session.rollback()
        flash(error.message, "error")
    return redirect(url_for("admin.operator", operator_id=operator_id), 303)


def _needs_factor(operator: Operator) -> bool:
    """Whether an operator has to set up a second factor and has not."""
    required = current_app.config["SETTINGS"].require_second_factor
    return operator.totp_since is None and (required == "all" or (required, operator.role) == ("admin", "admin"))


exports.add(
    exports.Table(
        "operators",
        "Operators",
        "admin.operators",
        lambda: select(
            Operator.id,
            Operator.email,
            Operator.role,
            Operator.created_at,
            Operator.disabled_at,
            Operator.totp_since,
        ).order_by(Operator.email),
        (
            exports.column("operator_id", "id"),
            exports.column("email"),
            exports.column("role"),
            exports.column("created_at"),
            exports.column("disabled_at"),
            exports.column("second_factor_since", "totp_since"),
        ),
        action="manage_operators",
    )
)
