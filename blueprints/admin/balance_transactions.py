"""The balance transactions at Stripe: the rows behind every figure of revenue."""

from __future__ import annotations

from flask import render_template

from blueprints import formats
from blueprints.admin import blueprint, exports, filters, lists
from blueprints.admin.revenue import FIGURES
from extensions import db
from makegood.revenue import transactions
from makegood.revenue.categories import FIGURES as CATEGORIES
from makegood.revenue.transactions import TransactionFilters

LABELS = {
    "figure": "Figure",
    "category": "Category",
    "currency": "Currency",
    "customer": "Customer",
    "source": "Stripe's object",
}
CHOICES = {"figure": FIGURES, "category": {code: formats.words(code) for code in CATEGORIES}}


@blueprint.get("/revenue/transactions")
def balance_transactions() -> str:
    """Balance transactions, newest first, as the filters in the URL say."""
    return render_template(
        "admin/balance_transactions.html",
        **LIST.shown(),
        choices=CHOICES,
    )


def _wanted(asked: filters.Filters) -> TransactionFilters:
    currency = asked["currency"]
    wanted = TransactionFilters(
        asked["figure"],
        asked["category"],
        currency.lower() if currency else None,
        asked["customer"],
        asked["source"],
        asked.start,
        asked.end,
    )
    return transactions.sharpened(db.session(), wanted)


LIST = lists.add(
    lists.ListPage("admin.balance_transactions", transactions.TRANSACTIONS, LABELS, _wanted, CHOICES),
    "balance-transactions",
    "Balance transactions",
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
