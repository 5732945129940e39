"""The refund history."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from blueprints import formats
from blueprints.admin import blueprint, exports, filters, lists
from extensions import db
from makegood import approval_list, refund_history, reversal_approvals
from makegood.providers.protocol import ErrorClass
from makegood.refund_history import RefundFilters
from makegood.refunds import CANCELLED, REASONS

LABELS = {
    "provider": "Provider",
    "model": "Model",
    "reason": "Reason",
    "origin": "Issued",
    "customer": "Customer",
    "reversed": "Reversed",
}
ORIGINS = {"automatic": "automatically", "manual": "by an operator", "bulk": "in bulk"}
REVERSED = {"no": "No", "yes": "Yes"}
MANUAL = dict(REASONS)
AUTOMATIC = {code: formats.words(code) for code in (*ErrorClass, CANCELLED)}
CHOICES = {"reason": AUTOMATIC | MANUAL, "origin": ORIGINS, "reversed": REVERSED}


@blueprint.get("/refunds")
def refunds() -> ResponseReturnValue:
    """Refunds, newest first, as the filters in the URL say. Links of before that ask for those "standing" lead to
    what the filter is called now."""
    standing = {"yes": "no", "no": "yes"}.get(request.args.get("standing", ""))
    if standing is not None:
        return redirect(
            url_for("admin.refunds", reversed=standing, **filters.carried("standing", "reversed")), 303
        )
    asked = LIST.asked()
    shown = LIST.shown(asked)
    about = [reversal_approvals.subject_of(row.refund_id) for row in shown["page"].rows]
    return render_template(
        "admin/refunds.html",
        **shown,
        waits=approval_list.waiting_about(db.session(), about, at=datetime.now(UTC)),
        total=refund_history.total(db.session(), _wanted(asked), current_app.config["SETTINGS"].terms),
        providers=filters.provider_choices(),
        manual=MANUAL,
        automatic=AUTOMATIC,
        reversed=REVERSED,
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
        {"yes": True, "no": False}.get(asked["reversed"] or ""),
    )


LIST = lists.add(
    lists.ListPage("admin.refunds", refund_history.REFUNDS, LABELS, _wanted, CHOICES),
    "refunds",
    "Refunds",
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
        exports.column("approved_by"),
        exports.column("bulk_refund_id"),
        exports.column("reversed_at"),
        exports.column("reversed_by"),
    ),
)
