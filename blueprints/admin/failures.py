"""The failure log."""

from __future__ import annotations

from flask import render_template

from blueprints import formats
from blueprints.admin import blueprint, filters
from extensions import db
from makegood import failures as failure_log
from makegood import pages
from makegood.failures import FailureFilters
from makegood.providers.protocol import ErrorClass

LABELS = {"provider": "Provider", "error": "Error", "customer": "Customer", "from": "From", "to": "Until"}
ERRORS = {code.value: formats.words(code) for code in ErrorClass}


@blueprint.get("/failures")
def failures() -> str:
    """Failed generations, newest first, as the filters in the URL say."""
    asked = filters.read(("provider", "error", "customer"))
    page = failure_log.log(
        db.session(),
        FailureFilters(asked["provider"], asked["error"], asked["customer"], asked.start, asked.end),
        before=asked.before,
        after=asked.after,
        limit=pages.SIZE,
    )
    return render_template(
        "admin/failures.html",
        filters=asked,
        page=page,
        chips=filters.chips(asked, LABELS, {"error": ERRORS}),
        presets=filters.presets(asked),
        providers=filters.provider_choices(),
        errors=ERRORS,
    )
