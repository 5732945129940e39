"""The operator's choice of a light or a dark console, kept in a cookie that the next page is rendered with."""

from __future__ import annotations

from flask import current_app, redirect, request
from werkzeug import Response

from blueprints import access
from blueprints.admin import blueprint
from blueprints.way_back import inner_path

YEAR = 31_536_000


@blueprint.post("/theme")
@access.requires("view")
def theme() -> Response:
    """Remember the theme and go back. Anything but light and dark follows the system."""
    response = redirect(inner_path(request.form.get("next")), 303)
    chosen = request.form.get("theme")
    if chosen in ("light", "dark"):
        response.set_cookie(
            "theme",
            chosen,
            max_age=YEAR,
            secure=current_app.config["SESSION_COOKIE_SECURE"],
            samesite="Lax",
        )
    else:
        response.delete_cookie("theme")
    return response
