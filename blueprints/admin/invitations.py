"""Inviting operators: a link, shown once, with which somebody sets their own password."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from blueprints import access
from blueprints.admin import blueprint
from blueprints.admin.dialogs import in_place
from extensions import db
from makegood import admins, invitations
from makegood.errors import Conflict, Invalid

WHAT_ROLES_MAY = {
    "viewer": "sees figures, lists and customers, changes nothing",
    "support": "refunds up to the limits, writes notes",
    "admin": "everything, with operators, keys, audit log and settings",
}


@blueprint.get("/operators/invite")
@access.requires("manage_operators")
def invite_form() -> str:
    """The form: a dialog for htmx, else a page."""
    return _invite("admin/invite_dialog.html" if in_place() else "admin/invite.html")


@blueprint.post("/operators/invite")
@access.requires("manage_operators")
@access.confirmed
def invite() -> ResponseReturnValue:
    """Invite somebody, and show the link, this once."""
    email, role = request.form.get("email", ""), request.form.get("role", "")
    again = "admin/_invite_form.html" if in_place() else "admin/invite.html"
    try:
        invitation, token = invitations.send(
            db.session(),
            email,
            role,
            actor=access.actor(),
            now=datetime.now(UTC),
            address=access.client_address(),
        )
    except (Invalid, Conflict) as error:
        db.session.rollback()
        problems = error.details.get("fields", {})
        return _invite(again, email=email, role=role, summary=error.message, problems=problems), error.status
    link = url_for("auth.invitation", token=token, _external=True)
    db.session.commit()
    template = "admin/_invited.html" if in_place() else "admin/invited.html"
    return render_template(template, invitation=invitation, link=link)


@blueprint.post("/operators/invitations/<uuid:invitation_id>/withdraw")
@access.requires("manage_operators")
def withdraw_invitation(invitation_id: UUID) -> ResponseReturnValue:
    """End an invitation: its link works no more."""
    gone = invitations.withdraw(
        db.session(),
        invitation_id,
        actor=access.actor(),
        now=datetime.now(UTC),
        address=access.client_address(),
    )
    email = gone.email
    db.session.commit()
    flash(f"The invitation of {email} is withdrawn. Its link works no more.", "ok")
    return redirect(url_for("admin.operators"), 303)


def _invite(
    template: str,
    *,
    email: str = "",
    role: str = "support",
    summary: str = "",
    problems: dict[str, str] | None = None,
) -> str:
    takes_two = admins.others(db.session(), access.actor(), at=datetime.now(UTC))
    return render_template(
        template,
        email=email[:254],
        role="support" if takes_two and role == "admin" else role,
        takes_two=takes_two,
        roles=WHAT_ROLES_MAY,
        days=invitations.LIVES.days,
        summary=summary,
        problems=problems or {},
    )
