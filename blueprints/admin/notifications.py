"""Notifications that the platform has not taken, and sending one again."""

from __future__ import annotations

from uuid import UUID

from flask import current_app, flash, redirect, render_template, url_for
from werkzeug import Response

from blueprints import access
from blueprints.admin import blueprint, exports, lists
from extensions import db
from makegood import notifications as rules
from makegood.errors import Conflict


@blueprint.get("/notifications")
def notifications() -> str:
    """What was tried and not taken, newest first."""
    url = current_app.config["SETTINGS"].notify_url
    return render_template("admin/notifications.html", **LIST.shown(), url=url)


@blueprint.post("/notifications/<uuid:notification_id>/send-again")
@access.requires("apply_callback")
def send_again(notification_id: UUID) -> Response:
    """Deliver one again, as soon as the worker comes by."""
    try:
        rules.send_again(db.session(), notification_id, actor=access.actor(), address=access.client_address())
    except Conflict as conflict:
        db.session.rollback()
        flash(conflict.message, "info")
    else:
        db.session.commit()
        flash(
            "The notification is sent again within a few seconds. It is listed here again if it is not taken.",
            "ok",
        )
    return redirect(url_for("admin.notifications"), 303)  # type: ignore[return-value]


LIST = lists.add(
    lists.ListPage("admin.notifications", rules.FAILING, {}),
    "notifications",
    "Notifications",
    tuple(exports.column(name) for name in rules.Failing.__annotations__),
)
