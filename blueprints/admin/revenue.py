"""What came in by Stripe's books, in a range: by currency and day, with what was taken off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from flask import current_app, url_for
from sqlalchemy import Select
from sqlalchemy.orm import Session

from blueprints import access
from blueprints.access import poll
from blueprints.admin import blueprint, exports, monitoring
from blueprints.admin.charts import Chart, Series
from blueprints.admin.filters import Filters
from makegood import revenue, throttles
from makegood.ranges import Range
from makegood.revenue import categories, figures
from makegood.revenue.figures import Figures
from makegood.revenue.period import CurrencyPeriod, Revenue
from makegood.revenue.rules import RULES
from makegood.terms import Terms

PAGE = monitoring.Page(
    "admin.revenue",
    "Revenue",
    "By Stripe's balance transactions, when they were created",
    (
        "revenue_state",
        "revenue_cards",
        "revenue_chart",
        "revenue_figures",
        "revenue_currencies",
        "revenue_categories",
    ),
    ("currency",),
    "No balance transaction was created in this range.",
    "revenue-days",
    tabs="admin/_revenue_tabs.html",
)
FIGURES = {
    "gross": "Gross",
    "refunds": "Refunds",
    "disputes": "Disputes",
    "fees": "Stripe fees",
    "account_fees": "Account fees",
    "tax_on_fees": "Tax on fees",
    "net": "Net",
    "other": "Unknown categories",
    "moved": "Not revenue",
}
"""What the figures are called."""
TAKEN = ("refunds", "disputes", "fees", "account_fees", "tax_on_fees")


@blueprint.get("/revenue", endpoint="revenue")
@access.throttled(throttles.STATS)
def revenue_page() -> str:
    """The page."""
    return _show("admin/monitoring.html")


@blueprint.get("/pulse/revenue")
@poll
def revenue_pulse() -> str:
    """Its panels as fragments."""
    return _show("admin/pulse.html")


def _show(template: str) -> str:
    asked = PAGE.read()
    session, _, span = monitoring.begin(asked)
    view = revenue.period(session, span)
    shown = view.of(asked.currency)
    currencies = [one.currency for one in view.currencies]
    unknown = not currencies and view.reading.read_at is None
    page = replace(PAGE, panels=("revenue_setup",)) if unknown else PAGE
    return page.show(
        template,
        asked,
        view,
        [_chart(view, shown, asked)] if shown else [],
        choices=page.choices({"currency": currencies}, asked) if len(currencies) > 1 or asked["currency"] else {},
        shown=shown,
        names=FIGURES,
        taken=TAKEN,
        rules=RULES,
        unread=revenue.unread(view.reading, span),
        connected=current_app.config["SETTINGS"].stripe.api_key is not None,
        currency=shown.currency if shown else "",
    )


def _chart(view: Revenue, shown: CurrencyPeriod, asked: Filters) -> Chart:
    assert asked.range is not None

    def rows(figure: str) -> str:
        return url_for("admin.balance_transactions", currency=shown.currency, figure=figure)

    def each(name: str, sign: int = 1) -> list[int]:
        return [sign * getattr(step, name) for step in shown.steps]

    def series(name: str, colour: str, sign: int = 1, *, line: bool = False, label: str = "") -> Series:
        total = sign * getattr(shown.now, name)
        return Series(label or FIGURES[name], each(name, sign), colour, total, rows(name), line=line)

    won = shown.now.disputes < 0
    fees = [-_all_fees(step) for step in shown.steps]
    return Chart(
        "revenue_chart",
        monitoring.by_unit(asked.range),
        "What was taken off is below zero, what came back of it above; the line is what is left",
        asked.range,
        [
            series("gross", "chart-1"),
            series("refunds", "chart-3", -1),
            series(
                "disputes", "chart-5" if won else "chart-bad", -1, label="Won back from disputes" if won else ""
            ),
            Series("All fees", fees, "chart-4", -_all_fees(shown.now), rows("fees")),
            series("net", "chart-2", line=True),
        ],
        unit=f"minor:{shown.currency}",
        link=url_for("admin.balance_transactions", currency=shown.currency),
        beside=[Series("Transactions", each("transactions"), "", shown.now.transactions, unit="count")],
        pieces=view.steps,
    )


def _all_fees(found: Figures) -> int:
    return found.fees + found.account_fees + found.tax_on_fees


def _query(made: Callable[[Sequence[tuple[Any, Any]]], Select[*tuple[Any, ...]]]) -> monitoring.Query:
    """A file's rows: of the page's steps, and of its currency if it has one."""

    def query(session: Session, terms: Terms, span: Range, asked: Filters) -> Select[*tuple[Any, ...]]:
        found = made([(step.start, step.end) for step in span.steps()])
        currency = asked.currency
        return found.where(found.selected_columns["currency"] == currency) if currency else found

    return query


monitoring.export(
    PAGE,
    "revenue-days",
    "Revenue by day and currency",
    _query(figures.by_figure),
    (
        exports.column("starts_at"),
        exports.column("currency"),
        *(exports.major(name) for name in FIGURES if name != "moved"),
    ),
)
monitoring.export(
    PAGE,
    "revenue-categories",
    "Revenue by day, currency and reporting category",
    _query(figures.by_category),
    (
        exports.column("starts_at"),
        exports.column("currency"),
        exports.column("reporting_category", "category"),
        exports.Column("figure", lambda row: categories.figure_of(row.category)),
        exports.column("transactions"),
        exports.major("amount"),
        exports.major("fee"),
    ),
)
