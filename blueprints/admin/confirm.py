"""The page that asks operators once more who they are, on the way to a page that wants to know."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import redirect, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from blueprints import access, confirmation
from blueprints.admin import blueprint
from blueprints.way_back import inner_path


@blueprint.get("/confirm")
def confirm() -> ResponseReturnValue:
    """Ask for the password or a code; then go on to `next`."""
    return confirmation.form(kept=False)


@blueprint.post("/confirm")
@access.requires("view")
def confirm_sent() -> ResponseReturnValue:
    """On to `next`, or the question again."""
    again = confirmation.check(current_user, access.client_address(), datetime.now(UTC), kept=False)
    return redirect(inner_path(request.form.get("next")), 303) if again is None else again
