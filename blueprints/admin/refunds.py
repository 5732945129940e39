"""The refund history."""

from __future__ import annotations

from flask import current_app, render_template

from blueprints import formats
from blueprints.admin import blueprint, exports, filters, newer
from extensions import db
from makegood import refund_history
from makegood.pages import Page
from makegood.providers.protocol import ErrorClass
from makegood.refund_history import LoggedRefund, RefundFilters
from makegood.refunds import CANCELLED, REASONS

NAMES = ("provider", "model", "reason", "origin", "customer", "standing")
LABELS = {
    "provider": "Provider",
    "model": "Model",
    "reason": "Reason",
    "origin": "Given",
    "customer": "Customer",
    "standing": "Standing",
    "from": "From",
    "to": "Until",
}
ORIGINS = {"automatic": "automatically", "manual": "by an operator", "bulk": "in bulk"}
STANDING = {"yes": "not reversed", "no": "reversed"}
MANUAL = dict(REASONS)
AUTOMATIC = {code: formats.words(code) for code in (*ErrorClass, CANCELLED)}
CHOICES = {"reason": AUTOMATIC | MANUAL, "origin": ORIGINS, "standing": STANDING}


@blueprint.get("/refunds")
def refunds() -> str:
    """Refunds, newest first, as the filters in the URL say."""
    asked = filters.read(NAMES)
    page = _read(asked, filters.page_size())
    return render_template(
        "admin/refunds.html",
        filters=asked,
        page=page,
        total=refund_history.total(db.session(), _wanted(asked), current_app.config["SETTINGS"].terms),
        chips=filters.chips(
            asked, LABELS, {"reason": AUTOMATIC | MANUAL, "origin": ORIGINS, "standing": STANDING}
        ),
        providers=filters.provider_choices(),
        manual=MANUAL,
        automatic=AUTOMATIC,
        standing=STANDING,
    )


def _read(asked: filters.Filters, limit: int) -> Page[LoggedRefund]:
    return refund_history.history(
        db.session(), _wanted(asked), before=asked.before, after=asked.after, limit=limit
    )


def _wanted(asked: filters.Filters) -> RefundFilters:
    return RefundFilters(
        asked["provider"],
        asked["reason"],
        asked["customer"],
        asked.start,
        asked.end,
        asked["model"],
        asked["origin"],
        {"yes": True, "no": False}.get(asked["standing"] or ""),
    )


newer.add("admin.refunds", lambda most: _read(filters.read(NAMES), most))
exports.add(
    exports.Table(
        "refunds",
        "Refund history",
        "admin.refunds",
        lambda: refund_history.every(_wanted(filters.read(NAMES))),
        (
            exports.column("issued_at"),
            exports.column("refund_id", "id"),
            exports.column("generation_id"),
            exports.column("customer_id"),
            exports.column("provider"),
            exports.column("model"),
            exports.column("credits"),
            exports.column("credits_charged"),
            exports.column("origin"),
            exports.column("reason"),
            exports.column("note"),
            exports.column("by", "actor"),
            exports.column("bulk_refund_id"),
            exports.column("reversed_at"),
            exports.column("reversed_by"),
        ),
    )
)
