"""What an import of a bill shows, by category, and the rows behind it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

from flask import Response, render_template, request, stream_with_context

from blueprints.admin import bills_upload, blueprint
from extensions import db
from makegood import bills, pages
from makegood.bills import comparison
from makegood.bills.categories import CATEGORIES, Category
from makegood.bills.comparison import Row, Scope
from makegood.errors import NotFound
from makegood.models import Bill
from makegood.pages import Cursor
from makegood.stats import begin_snapshot

CSV_COLUMNS = (
    "billed_at",
    "provider_job_id",
    "generation_id",
    "model",
    "status",
    "charged_usd",
    "refunded_usd",
    "billed_usd",
    "recorded_usd",
    "recorded_from",
    "difference_usd",
)


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


@blueprint.get("/bills/<uuid:bill_id>/<category>/csv")
def bill_category_csv(bill_id: UUID, category: str) -> Response:
    """All rows of a category as CSV."""
    begin_snapshot(db.session())
    found, kind = known(bill_id, category)
    rows = comparison.everything(db.session(), Scope.of(found), kind.name)
    name = f"bill-{found.provider}-{found.period_start:%Y-%m-%d}-{kind.name}.csv"
    return Response(
        stream_with_context(_csv(rows)),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def category_page(bill_id: UUID, category: str, problem: str = "") -> str:
    """A category's rows, with what kept a change from being made."""
    found, kind = known(bill_id, category)
    scope = Scope.of(found)
    older, newer = request.args.get("older"), request.args.get("newer")
    return render_template(
        "admin/bill_category.html",
        bill=found,
        category=kind,
        sums=bills.summary(db.session(), scope)[kind.name],
        page=comparison.rows(
            db.session(),
            scope,
            kind.name,
            before=Cursor.parse(older),
            after=Cursor.parse(newer),
            limit=pages.SIZE,
        ),
        place={"older": older, "newer": newer},
        problem=problem,
    )


def known(bill_id: UUID, category: str) -> tuple[Bill, Category]:
    """The import and the category. Raises NotFound."""
    if category not in CATEGORIES:
        raise NotFound("A bill has no such category. Go back to the bill to see those it has.")
    return bills.get(db.session(), bill_id), CATEGORIES[category]


def _csv(rows: Iterator[Row]) -> Iterator[str]:
    yield _written(CSV_COLUMNS)
    for row in rows:
        yield _written(
            (
                row.at.isoformat(),
                _disarmed(row.job),
                str(row.generation_id or ""),
                _disarmed(row.model),
                row.status or "",
                _usd(row.charged),
                _usd(row.refunded),
                _usd(row.net),
                _usd(row.recorded),
                row.source or "",
                _usd(row.difference),
            )
        )


def _written(cells: tuple[str, ...]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _usd(micros: int | None) -> str:
    return "" if micros is None else f"{Decimal(micros) / 1_000_000:f}"


def _disarmed(text: str | None) -> str:
    """A text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text and text[0] in "=+-@\t\r" else text or ""
