"""The balance transactions at Stripe: the rows behind every figure of revenue."""

from __future__ import annotations

from urllib.parse import quote

from flask import render_template

from blueprints import formats
from blueprints.admin import blueprint, exports, filters, newer
from blueprints.admin.revenue import FIGURES
from extensions import db
from makegood.pages import Page
from makegood.revenue import transactions
from makegood.revenue.categories import FIGURES as CATEGORIES
from makegood.revenue.transactions import LoggedTransaction, TransactionFilters

NAMES = ("figure", "category", "currency", "customer", "source")
LABELS = {
    "figure": "Figure",
    "category": "Category",
    "currency": "Currency",
    "customer": "Customer",
    "source": "Stripe's object",
    "from": "From",
    "to": "Until",
}
CHOICES = {"figure": FIGURES, "category": {code: formats.words(code) for code in CATEGORIES}}
AT_STRIPE = {
    "ch": "payments",
    "py": "payments",
    "pi": "payments",
    "po": "payouts",
    "du": "disputes",
    "dp": "disputes",
    "sub": "subscriptions",
    "cus": "customers",
    "tr": "connect/transfers",
    "tu": "topups",
}
"""Where Stripe's dashboard shows an object, by how its id begins; others are found by its search."""


@blueprint.get("/revenue/transactions")
def balance_transactions() -> str:
    """Balance transactions, newest first, as the filters in the URL say."""
    asked = filters.read(NAMES)
    return render_template(
        "admin/balance_transactions.html",
        filters=asked,
        page=_read(asked, filters.page_size()),
        chips=filters.chips(asked, LABELS, CHOICES),
        choices=CHOICES,
    )


@blueprint.app_template_global()
def at_stripe(identifier: str, livemode: bool) -> str:
    """The address of an object in Stripe's dashboard."""
    mode = "" if livemode else "/test"
    place = AT_STRIPE.get(identifier.partition("_")[0])
    quoted = quote(identifier, safe="")
    path = f"{place}/{quoted}" if place else f"search?query={quoted}"
    return f"https://dashboard.stripe.com{mode}/{path}"


def _read(asked: filters.Filters, limit: int) -> Page[LoggedTransaction]:
    return transactions.listed(db.session(), _wanted(asked), before=asked.before, after=asked.after, limit=limit)


def _wanted(asked: filters.Filters) -> TransactionFilters:
    currency = asked["currency"]
    return TransactionFilters(
        asked["figure"],
        asked["category"],
        currency.lower() if currency else None,
        asked["customer"],
        asked["source"],
        asked.start,
        asked.end,
    )


newer.add("admin.balance_transactions", lambda most: _read(filters.read(NAMES), most))
exports.add(
    exports.Table(
        "balance-transactions",
        "Balance transactions",
        "admin.balance_transactions",
        lambda: transactions.every(_wanted(filters.read(NAMES))),
        (
            exports.column("created_at"),
            exports.column("balance_transaction_id", "id"),
            exports.column("reporting_category", "category"),
            exports.column("type"),
            exports.column("currency"),
            exports.major("amount"),
            exports.major("fee"),
            exports.major("net"),
            exports.column("status"),
            exports.column("available_on"),
            exports.column("source"),
            exports.column("charge_id"),
            exports.column("customer_id"),
            exports.column("description"),
        ),
    )
)
