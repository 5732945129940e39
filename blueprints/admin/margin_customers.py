"""Margin by customer: who leaves most, who costs more than they pay, and what is used by those who never paid."""

from __future__ import annotations

from flask import current_app

from blueprints import access
from blueprints.access import poll
from blueprints.admin import blueprint, exports, monitoring
from blueprints.admin.filters import Filters
from blueprints.admin.margin_files import RESULT, columns
from makegood import throttles
from makegood.revenue import margin, margin_by_customer
from makegood.revenue.margin_by_customer import BASES, GROUPS, LISTED
from makegood.revenue.margin_rules import MARGIN

SORTED_BY = {"recognised": "profit on recognised revenue", "cash": "profit on cash"}
SHOWN = {"payers": "who ever paid", "losing": "who cost more than they pay", "free": "who never paid"}
PAGE = monitoring.Page(
    "admin.margin_customers",
    "Margin by customer",
    f"In US dollars; the first {LISTED}, the CSV has all",
    ("margin_customers_state", "margin_customers_cards", "margin_customers_list"),
    ("group", "sort"),
    "Nobody paid or used anything in this range.",
    compared=False,
    words={"sort": SORTED_BY, "group": SHOWN},
    tabs="admin/_margin_tabs.html",
)


@blueprint.get("/margin/customers")
@access.throttled(throttles.STATS)
def margin_customers() -> str:
    """The page."""
    return _show("admin/monitoring.html")


@blueprint.get("/pulse/margin/customers")
@poll
def margin_customers_pulse() -> str:
    """Its panels as fragments."""
    return _show("admin/pulse.html")


def _show(template: str) -> str:
    asked = PAGE.read()
    session, terms, span = monitoring.begin(asked)
    span = margin.whole_days(span, terms)
    view = margin_by_customer.report(session, terms, span, basis=_basis(asked), group=_group(asked))
    connected = current_app.config["SETTINGS"].stripe.api_key is not None
    return PAGE.show(
        template,
        asked,
        view,
        [],
        choices={},
        group=_group(asked),
        sort=_basis(asked),
        sorted_by=SORTED_BY,
        rules=MARGIN,
        listed=LISTED,
        known=connected or view.since is not None,
    )


def _group(asked: Filters) -> str:
    chosen = asked["group"]
    return chosen if chosen in GROUPS else GROUPS[0]


def _basis(asked: Filters) -> str:
    chosen = asked["sort"]
    return chosen if chosen in SORTED_BY else BASES[0]


monitoring.export(
    PAGE,
    "margin-customers",
    "Margin by customer",
    lambda session, terms, span, asked: margin_by_customer.every(
        session, terms, margin.whole_days(span, terms), basis=_basis(asked), group=_group(asked)
    ),
    [exports.column("email"), *columns(("customer_id", "tier"), RESULT)],
)
