"""The generation page."""

from __future__ import annotations

from uuid import UUID

from flask import render_template

from blueprints.admin import blueprint
from extensions import db
from makegood import refund_approvals, stories
from makegood.stats import begin_snapshot


@blueprint.get("/generations/<uuid:generation_id>")
def generation(generation_id: UUID) -> str:
    """The generation's whole story."""
    begin_snapshot(db.session())
    story = stories.tell(db.session(), generation_id)
    waiting = refund_approvals.waiting(db.session(), generation_id)
    approvers = refund_approvals.approvers(db.session(), generation_id)
    return render_template("admin/generation.html", story=story, waiting=waiting, approvers=approvers)
