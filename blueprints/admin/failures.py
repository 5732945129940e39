"""The failure log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import render_template

from blueprints import formats
from blueprints.admin import blueprint, exports, filters, lists
from extensions import db
from makegood import approval_list, refund_approvals
from makegood import failures as failure_log
from makegood.failures import FailureFilters
from makegood.providers.protocol import ErrorClass

LABELS = {
    "provider": "Provider",
    "model": "Model",
    "error": "Error",
    "customer": "Customer",
    "late": "Reported late",
}
LATE_SINCE = timedelta(days=30)
ERRORS = {code.value: formats.words(code) for code in ErrorClass}


@blueprint.get("/failures")
def failures() -> str:
    """Failed generations, newest first, as the filters in the URL say."""
    shown = LIST.shown()
    about = [refund_approvals.subject_of(row.generation_id) for row in shown["page"].rows]
    return render_template(
        "admin/failures.html",
        **shown,
        waits=approval_list.waiting_about(db.session(), about, at=datetime.now(UTC)),
        late=failure_log.late_results(db.session(), since=datetime.now(UTC) - LATE_SINCE),
        providers=filters.provider_choices(),
        errors=ERRORS,
    )


def _wanted(asked: filters.Filters) -> FailureFilters:
    return FailureFilters(
        asked["provider"], asked["error"], asked["customer"], asked.start, asked.end, asked["late"], asked["model"]
    )


LIST = lists.add(
    lists.ListPage("admin.failures", failure_log.FAILURES, LABELS, _wanted, {"error": ERRORS}),
    "failures",
    "Failures",
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
