"""Accepting an invitation: whoever opens its link sets a password and becomes an operator."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Response, flash, make_response, redirect, render_template, request, url_for

from blueprints import access
from blueprints.auth import blueprint
from extensions import db
from makegood import invitations
from makegood.errors import Invalid, NotFound


@blueprint.get("/invitations/<token>")
def invitation(token: str) -> Response:
    """The form with which somebody who was invited sets a password."""
    return _form(token)


@blueprint.post("/invitations/<token>")
def accept_invitation(token: str) -> Response:
    """Become an operator, and go on to the log-in."""
    password, now = request.form.get("new_password", ""), datetime.now(UTC)
    try:
        if password != request.form.get("again"):
            fields = {"again": "is not the same as the first"}
            raise Invalid("The two passwords are not the same. Type them again.", fields=fields)
        operator = invitations.accept(db.session(), token, password, now=now, address=access.client_address())
    except Invalid as invalid:
        db.session.rollback()
        return _form(token, error=invalid.message, status=invalid.status)
    email = operator.email
    db.session.commit()
    flash("Your password is set. Log in with it.", "ok")
    return redirect(url_for("auth.login", email=email), 303)


def _form(token: str, *, error: str | None = None, status: int = 200) -> Response:
    try:
        invited = invitations.find(db.session, token, now=datetime.now(UTC))
    except NotFound as gone:
        return make_response(render_template("auth/invitation_gone.html", message=gone.message), gone.status)
    page = render_template("auth/invitation.html", invited=invited, token=token, error=error)
    return make_response(page, status)
