"""The generation page."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from flask import render_template

from blueprints.admin import blueprint
from extensions import db
from makegood import approval_list, bulk_refunds, refund_approvals, reversal_approvals, stories
from makegood.stats import begin_snapshot


@blueprint.get("/generations/<uuid:generation_id>")
def generation(generation_id: UUID) -> str:
    """The generation's whole story."""
    begin_snapshot(db.session())
    story = stories.tell(db.session(), generation_id)
    refunds = [entry.refund.id for entry in story.entries if entry.kind == "refund" and entry.refund]
    subjects = [refund_approvals.subject_of(generation_id), *map(reversal_approvals.subject_of, refunds)]
    requests = approval_list.about(db.session(), subjects, at=datetime.now(UTC))
    return render_template(
        "admin/generation.html",
        story=story,
        requests=requests,
        bulk=bulk_refunds.yet_to_come(db.session(), generation_id),
        bulk_now=bulk_refunds.NOW,
    )
