"""The failure log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import render_template

from blueprints import formats
from blueprints.admin import blueprint, filters
from extensions import db
from makegood import failures as failure_log
from makegood import pages
from makegood.failures import FailureFilters
from makegood.providers.protocol import ErrorClass

LABELS = {
    "provider": "Provider",
    "error": "Error",
    "customer": "Customer",
    "late": "Reported late",
    "from": "From",
    "to": "Until",
}
LATE_SINCE = timedelta(days=30)
ERRORS = {code.value: formats.words(code) for code in ErrorClass}


@blueprint.get("/failures")
def failures() -> str:
    """Failed generations, newest first, as the filters in the URL say."""
    asked = filters.read(("provider", "error", "customer", "late"))
    page = failure_log.log(
        db.session(),
        FailureFilters(
            asked["provider"], asked["error"], asked["customer"], asked.start, asked.end, asked["late"]
        ),
        before=asked.before,
        after=asked.after,
        limit=pages.SIZE,
    )
    return render_template(
        "admin/failures.html",
        filters=asked,
        page=page,
        chips=filters.chips(asked, LABELS, {"error": ERRORS}),
        late=failure_log.late_results(db.session(), since=datetime.now(UTC) - LATE_SINCE),
        presets=filters.presets(asked),
        providers=filters.provider_choices(),
        errors=ERRORS,
    )
