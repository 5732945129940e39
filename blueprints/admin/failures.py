"""The failure log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import render_template

from blueprints import formats
from blueprints.admin import blueprint, exports, filters, newer
from extensions import db
from makegood import failures as failure_log
from makegood.failures import FailureFilters, LoggedFailure
from makegood.pages import Page
from makegood.providers.protocol import ErrorClass

NAMES = ("provider", "model", "error", "customer", "late")
LABELS = {
    "provider": "Provider",
    "model": "Model",
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
    asked = filters.read(NAMES)
    page = _read(asked, filters.page_size())
    return render_template(
        "admin/failures.html",
        filters=asked,
        page=page,
        chips=filters.chips(asked, LABELS, {"error": ERRORS}),
        late=failure_log.late_results(db.session(), since=datetime.now(UTC) - LATE_SINCE),
        providers=filters.provider_choices(),
        errors=ERRORS,
    )


def _read(asked: filters.Filters, limit: int) -> Page[LoggedFailure]:
    return failure_log.log(db.session(), _wanted(asked), before=asked.before, after=asked.after, limit=limit)


def _wanted(asked: filters.Filters) -> FailureFilters:
    return FailureFilters(
        asked["provider"], asked["error"], asked["customer"], asked.start, asked.end, asked["late"], asked["model"]
    )


newer.add("admin.failures", lambda most: _read(filters.read(NAMES), most))
exports.add(
    exports.Table(
        "failures",
        "Failure log",
        "admin.failures",
        lambda: failure_log.every(_wanted(filters.read(NAMES))),
        (
            exports.column("ended_at"),
            exports.column("generation_id", "id"),
            exports.column("customer_id"),
            exports.column("provider"),
            exports.column("model"),
            exports.column("error_class"),
            exports.column("message", "error_message"),
            exports.column("credits_charged"),
            exports.column("credits_refunded"),
            exports.usd("cost_usd", "cost_micros"),
            exports.column("late_outcome"),
        ),
    )
)
