"""The generations list, which figures, charts and customers lead to."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import render_template

from blueprints import formats
from blueprints.admin import blueprint, exports, filters, lists
from extensions import db
from makegood import approval_list, generation_log, refund_approvals
from makegood.generation_log import BY_CHARGE, BY_END, STATUSES, GenerationFilters
from makegood.providers.protocol import ErrorClass

LABELS = {
    "status": "Status",
    "provider": "Provider",
    "model": "Model",
    "kind": "Kind",
    "tier": "Tier",
    "error": "Error",
    "customer": "Customer",
    "cost": "Cost",
    "refunded": "Refunded",
    "by": "Times",
}
CHOICES = {
    "status": {status: formats.words(status) for status in STATUSES},
    "error": {code.value: formats.words(code) for code in ErrorClass},
    "cost": {"unknown": "Unknown", "known": "Known"},
    "refunded": {"yes": "Yes", "partly": "In part", "no": "No"},
    "by": {BY_CHARGE: "when charged", BY_END: "when ended"},
}
BULK = {"provider", "model", "error", "status", "range", "from", "to", "zone"}
"""The filters that a bulk refund knows as well: with no other, it is offered for what is listed."""


@blueprint.get("/generations")
def generations() -> str:
    """Generations, newest first, as the filters in the URL say."""
    asked = LIST.asked()
    shown = LIST.shown(asked)
    about = [refund_approvals.subject_of(row.generation_id) for row in shown["page"].rows]
    return render_template(
        "admin/generations.html",
        **shown,
        waits=approval_list.waiting_about(db.session(), about, at=datetime.now(UTC)),
        providers=filters.provider_choices(),
        seen=generation_log.choices(db.session()),
        choices=CHOICES,
        by_end=asked["by"] == BY_END,
        bulk=BULK,
    )


def _wanted(asked: filters.Filters) -> GenerationFilters:
    return GenerationFilters(
        status=asked["status"],
        provider=asked["provider"],
        model=asked["model"],
        kind=asked["kind"],
        tier=asked["tier"],
        error_class=asked["error"],
        customer_id=asked["customer"],
        cost=asked["cost"],
        refunded=asked["refunded"],
        by=BY_END if asked["by"] == BY_END else BY_CHARGE,
        start=asked.start,
        end=asked.end,
    )


LIST = lists.add(
    lists.ListPage("admin.generations", generation_log.GENERATIONS, LABELS, _wanted, CHOICES),
    "generations",
    "Generations",
    (
        exports.column("charged_at"),
        exports.column("ended_at"),
        exports.column("generation_id", "id"),
        exports.column("customer_id"),
        exports.column("tier"),
        exports.column("provider"),
        exports.column("model"),
        exports.column("kind"),
        exports.column("status"),
        exports.column("error_class"),
        exports.column("credits_charged"),
        exports.column("credits_refunded"),
        exports.usd("cost_usd", "cost_micros"),
        exports.column("latency_ms"),
        exports.column("late_outcome"),
    ),
)
