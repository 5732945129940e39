"""Refunds of a whole incident: the list of them, and one with its progress and its generations."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Select

from blueprints import access, formats
from blueprints.access import poll
from blueprints.admin import blueprint, exports, filters, lists
from extensions import db
from makegood import bulk_refunds
from makegood.bulk_refunds import ItemFilters, confirmation
from makegood.errors import Conflict, NotFound
from makegood.models import Approval, BulkRefund
from makegood.stats import begin_snapshot

OUTCOMES = {
    "refunded": "Refunded",
    "skipped": "Skipped",
    "failed": "Failed",
    "due": "Not done yet",
}


@dataclass(frozen=True)
class Export:
    """What the link to the CSV of a bulk refund's generations carries: no range, all of them are in it."""

    values: dict[str, str]
    span: dict[str, str] = field(default_factory=dict)


@blueprint.get("/bulk-refunds", endpoint="bulk_refunds")
def bulk_refunds_list() -> str:
    """Every bulk refund, the newest first."""
    return render_template("admin/bulk_refunds.html", **LIST.shown())


@blueprint.get("/bulk-refunds/<uuid:bulk_refund_id>")
def bulk_refund(bulk_refund_id: UUID) -> str:
    """What was confirmed, how far it is, and its generations."""
    return render_template("admin/bulk_refund.html", **_one(bulk_refund_id))


@blueprint.get("/bulk-refunds/<uuid:bulk_refund_id>/progress")
@poll
def bulk_refund_progress(bulk_refund_id: UUID) -> str:
    """How far it is; when it is over, its generations too."""
    found = bulk_refunds.get(db.session(), bulk_refund_id)
    if found.state == "running":
        return render_template("admin/bulk_progress.html", bulk=found, approval=None, carried=_carried())
    return render_template("admin/bulk_progress.html", **_one(bulk_refund_id))


def _one(bulk_refund_id: UUID) -> dict[str, Any]:
    begin_snapshot(db.session())
    asked = replace(filters.read(("outcome",)), endpoint="admin.bulk_refund")
    outcome = _outcome(asked)
    page = bulk_refunds.ITEMS.page(
        db.session(),
        ItemFilters(bulk_refund_id, outcome),
        before=asked.before,
        after=asked.after,
        limit=filters.page_size(),
    )
    found = bulk_refunds.get(db.session(), bulk_refund_id)
    return {
        "bulk": found,
        "approval": _waiting(found),
        "filters": asked,
        "page": page,
        "carried": _carried(),
        "outcomes": OUTCOMES,
        "chosen": outcome,
        "export": Export({"bulk_refund_id": str(bulk_refund_id), **({"outcome": outcome} if outcome else {})}),
    }


def _carried() -> dict[str, str]:
    """What of the page's address the poll brings with it: the list below is the one that is shown."""
    return {name: value for name, value in request.args.items() if name in ("outcome", "older", "newer")}


@blueprint.post("/bulk-refunds/<uuid:bulk_refund_id>/stop")
@access.requires("bulk_refund")
def stop_bulk_refund(bulk_refund_id: UUID) -> ResponseReturnValue:
    """Go no further; what was refunded stays so."""
    try:
        stopped = bulk_refunds.stop(
            db.session(), bulk_refund_id, actor=access.actor(), address=access.client_address()
        )
        left = stopped.generations - stopped.refunded - stopped.skipped
        message = f"Stopped. {formats.counted(left, 'generation')} not refunded; what was refunded stays so."
        db.session.commit()
        flash(message, "ok")
    except Conflict as conflict:
        db.session.rollback()
        flash(conflict.message, "error")
    return redirect(url_for("admin.bulk_refund", bulk_refund_id=bulk_refund_id), 303)


@blueprint.post("/bulk-refunds/<uuid:bulk_refund_id>/resume")
@access.requires("bulk_refund")
@access.confirmed
def resume_bulk_refund(bulk_refund_id: UUID) -> ResponseReturnValue:
    """Go on where it was stopped."""
    try:
        resumed = bulk_refunds.resume(
            db.session(), bulk_refund_id, actor=access.actor(), address=access.client_address()
        )
        left = resumed.generations - resumed.refunded - resumed.skipped
        message = f"Going on with the {formats.counted(left, 'generation')} left."
        db.session.commit()
        flash(message, "ok")
    except Conflict as conflict:
        db.session.rollback()
        flash(conflict.message, "error")
    return redirect(url_for("admin.bulk_refund", bulk_refund_id=bulk_refund_id), 303)


def _waiting(bulk: BulkRefund) -> Approval | None:
    """The request for a second operator's approval that it waits for."""
    if bulk.state != "waiting":
        return None
    return confirmation.KIND.waiting(db.session(), bulk.id, at=datetime.now(UTC))


def _outcome(asked: filters.Filters) -> str | None:
    return asked["outcome"] if asked["outcome"] in OUTCOMES else None


def _export() -> Select[*tuple[Any, ...]]:
    try:
        bulk_refund_id = UUID(request.args.get("bulk_refund_id", ""))
    except ValueError:
        raise NotFound("There is no such bulk refund.") from None
    bulk_refunds.get(db.session(), bulk_refund_id)
    return bulk_refunds.ITEMS.every(ItemFilters(bulk_refund_id, _outcome(filters.read(("outcome",)))))


LIST = lists.add(
    lists.ListPage("admin.bulk_refunds", bulk_refunds.BULK_REFUNDS, {}),
    "bulk-refunds",
    "Bulk refunds",
    (
        exports.column("asked_at", "created_at"),
        exports.column("id"),
        exports.column("provider"),
        exports.column("model"),
        exports.column("error_class"),
        exports.column("status"),
        exports.column("charged_from", "since"),
        exports.column("charged_until", "until"),
        exports.column("reason"),
        exports.column("note"),
        exports.column("generations"),
        exports.column("customers"),
        exports.column("credits"),
        exports.column("state"),
        exports.column("refunded"),
        exports.column("skipped"),
        exports.column("failed"),
        exports.column("credits_refunded"),
        exports.column("by", "actor"),
        exports.column("approved_by", "approver"),
        exports.column("ended_at"),
    ),
)
exports.add(
    exports.Table(
        "bulk-refund",
        "Generations of a bulk refund",
        "admin.bulk_refund",
        _export,
        (
            exports.column("charged_at"),
            exports.column("generation_id"),
            exports.column("customer_id"),
            exports.column("model"),
            exports.column("status"),
            exports.column("error_class"),
            exports.column("credits_confirmed", "credits"),
            exports.column("outcome"),
            exports.column("credits_refunded", "refunded"),
            exports.column("refund_id"),
            exports.column("problem"),
            exports.column("reversal_id"),
        ),
    )
)
