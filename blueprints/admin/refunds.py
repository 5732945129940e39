"""The refund history."""

from __future__ import annotations

from flask import render_template

from blueprints import formats
from blueprints.admin import blueprint, filters
from extensions import db
from makegood import pages, refund_history
from makegood.providers.protocol import ErrorClass
from makegood.refund_history import RefundFilters
from makegood.refunds import CANCELLED, REASONS

LABELS = {"provider": "Provider", "reason": "Reason", "customer": "Customer", "from": "From", "to": "Until"}
MANUAL = dict(REASONS)
AUTOMATIC = {code: formats.words(code) for code in (*ErrorClass, CANCELLED)}


@blueprint.get("/refunds")
def refunds() -> str:
    """Refunds, newest first, as the filters in the URL say."""
    asked = filters.read(("provider", "reason", "customer"))
    page = refund_history.history(
        db.session(),
        RefundFilters(asked["provider"], asked["reason"], asked["customer"], asked.start, asked.end),
        before=asked.before,
        after=asked.after,
        limit=pages.SIZE,
    )
    return render_template(
        "admin/refunds.html",
        filters=asked,
        page=page,
        chips=filters.chips(asked, LABELS, {"reason": AUTOMATIC | MANUAL}),
        presets=filters.presets(asked),
        providers=filters.provider_choices(),
        manual=MANUAL,
        automatic=AUTOMATIC,
    )
