"""Acknowledging an alert."""

from __future__ import annotations

from uuid import UUID

from flask import flash, redirect, url_for
from werkzeug import Response

from blueprints import access
from blueprints.admin import blueprint
from extensions import db
from makegood import alerts


@blueprint.post("/alerts/<uuid:alert_id>/acknowledge")
@access.requires("acknowledge")
def acknowledge(alert_id: UUID) -> Response:
    """Take the alert off the dashboard."""
    alert = alerts.acknowledge(db.session(), alert_id, actor=access.actor(), address=access.client_address())
    flash(f"Acknowledged: {alert.message}", "ok")
    db.session.commit()
    return redirect(url_for("admin.dashboard"), 303)
