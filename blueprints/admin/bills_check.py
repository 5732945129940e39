"""What an import of a bill shows, by category, and the rows behind it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import render_template, request
from sqlalchemy import Select

from blueprints.admin import bills_upload, blueprint, exports, filters
from extensions import db
from makegood import bills
from makegood.bills import comparison
from makegood.bills.categories import CATEGORIES, Category
from makegood.bills.comparison import Scope
from makegood.errors import NotFound
from makegood.models import Bill
from makegood.stats import begin_snapshot


@blueprint.get("/bills/<uuid:bill_id>")
def bill(bill_id: UUID) -> str:
    """What an import shows, by category; of a file that is not imported yet, its preview."""
    begin_snapshot(db.session())
    found = bills.get(db.session(), bill_id)
    if found.state == "draft":
        return bills_upload.preview_page(found.id)
    sums = bills.summary(db.session(), Scope.of(found))
    return render_template("admin/bill.html", bill=found, sums=sums, categories=CATEGORIES)


@blueprint.get("/bills/<uuid:bill_id>/<category>")
def bill_category(bill_id: UUID, category: str) -> str:
    """The rows of a category."""
    begin_snapshot(db.session())
    return category_page(bill_id, category)


def category_page(bill_id: UUID, category: str, problem: str = "") -> str:
    """A category's rows, with what kept a change from being made."""
    found, kind = known(bill_id, category)
    scope = Scope.of(found)
    before, after = filters.place()
    return render_template(
        "admin/bill_category.html",
        bill=found,
        category=kind,
        sums=bills.summary(db.session(), scope)[kind.name],
        page=comparison.rows(db.session(), scope, kind.name, before=before, after=after),
        place={name: request.args.get(name) for name in ("older", "newer")},
        problem=problem,
    )


def known(bill_id: UUID, category: str) -> tuple[Bill, Category]:
    """The import and the category. Raises NotFound."""
    if category not in CATEGORIES:
        raise NotFound("A bill has no such category. Go back to the bill to see those it has.")
    return bills.get(db.session(), bill_id), CATEGORIES[category]


def _wanted() -> Select[*tuple[Any, ...]]:
    """The rows of the category that the query string names. Raises NotFound."""
    try:
        bill_id = UUID(request.args.get("bill_id", ""))
    except ValueError:
        raise NotFound("There is no such import of a bill. The list of bills has all of them.") from None
    found, kind = known(bill_id, request.args.get("category", ""))
    return comparison.every(db.session(), Scope.of(found), kind.name)


def _difference(row: Any) -> Decimal:
    return Decimal(row.net - (row.recorded or 0)).scaleb(-6)


exports.add(
    exports.Table(
        "bill_rows",
        "Rows of a bill",
        "admin.bill_category",
        _wanted,
        (
            exports.column("billed_at", "at"),
            exports.column("provider_job_id", "job"),
            exports.column("generation_id"),
            exports.column("model"),
            exports.column("status"),
            exports.usd("charged_usd", "charged"),
            exports.usd("refunded_usd", "refunded"),
            exports.usd("billed_usd", "net"),
            exports.usd("recorded_usd", "recorded"),
            exports.column("recorded_from", "source"),
            exports.Column("difference_usd", _difference),
        ),
    )
)
