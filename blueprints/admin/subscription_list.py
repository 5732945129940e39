"""The rows behind the figures of subscriptions: the subscriptions themselves, and the changes of MRR."""

from __future__ import annotations

from flask import render_template

from blueprints import formats
from blueprints.admin import blueprint, exports, filters, lists
from blueprints.admin.exports import Column
from makegood import money
from makegood.models.subscriptions import KINDS
from makegood.revenue import movement_list, subscription_list
from makegood.revenue.movement_list import MovementFilters
from makegood.revenue.subscription_list import STATUSES, SubscriptionFilters

LABELS = {
    "status": "Status",
    "counted": "In MRR",
    "currency": "Currency",
    "customer": "Customer",
}
CHOICES = {
    "status": {status: formats.words(status) for status in STATUSES},
    "counted": {"yes": "Yes", "no": "No", "unknown": "Unknown"},
}
OF_MOVEMENTS = {"kind": "Movement", "currency": "Currency", "customer": "Customer"}
MOVEMENTS = {"kind": {kind: formats.words(kind) for kind in KINDS}}
WHY = {
    "cancels": "will be cancelled",
    "collection_paused": "its collection is paused",
    "metered": "billed by use only",
    "free": "costs nothing",
    "discounted": "wholly discounted",
    "trialing": "on trial",
}
"""Why a subscription adds nothing to MRR, in words; else it is its status."""


@blueprint.get("/subscriptions/all", endpoint="subscription_list")
def show_subscriptions() -> str:
    """Subscriptions, newest first, as the filters in the URL say."""
    return render_template(
        "admin/subscription_list.html",
        **SUBSCRIPTIONS.shown(),
        choices=CHOICES,
        why=WHY,
        rounded=money.rounded,
    )


@blueprint.get("/subscriptions/movements")
def mrr_movements() -> str:
    """Changes of MRR, newest first, as the filters in the URL say."""
    return render_template(
        "admin/mrr_movements.html",
        **CHANGES.shown(),
        choices=MOVEMENTS,
        rounded=money.rounded,
    )


def _wanted(asked: filters.Filters) -> SubscriptionFilters:
    return SubscriptionFilters(
        asked["status"], asked["counted"], _currency(asked), asked["customer"], asked.start, asked.end
    )


def _moved(asked: filters.Filters) -> MovementFilters:
    return MovementFilters(asked["kind"], _currency(asked), asked["customer"], asked.start, asked.end)


def _currency(asked: filters.Filters) -> str | None:
    currency = asked["currency"]
    return currency.lower() if currency else None


def exact_amount(name: str) -> Column:
    """An exact amount in its currency's own unit, rounded to minor units."""

    def value(row: object) -> object:
        exact = getattr(row, name)
        return None if exact is None else money.major(money.rounded(exact), row.currency)  # type: ignore[attr-defined]

    return Column(name, value)


SUBSCRIPTIONS = lists.add(
    lists.ListPage("admin.subscription_list", subscription_list.SUBSCRIPTIONS, LABELS, _wanted, CHOICES),
    "subscriptions",
    "Subscriptions",
    (
        exports.column("created_at"),
        exports.column("subscription_id", "subscription_id"),
        exports.column("stripe_customer_id"),
        exports.column("customer_id"),
        exports.column("email"),
        exports.column("status"),
        exports.column("currency"),
        exact_amount("mrr"),
        exports.column("why_not_in_mrr", "why"),
        exports.column("trial_end"),
        exports.column("ends_at"),
        exports.column("ended_at"),
    ),
)
CHANGES = lists.add(
    lists.ListPage("admin.mrr_movements", movement_list.MOVEMENTS, OF_MOVEMENTS, _moved, MOVEMENTS),
    "mrr-movements",
    "Movements of MRR",
    (
        exports.column("day"),
        exports.column("kind"),
        exports.column("stripe_customer_id"),
        exports.column("customer_id"),
        exports.column("email"),
        exports.column("currency"),
        exact_amount("before"),
        exact_amount("after"),
        exports.column("estimated"),
        exports.column("why_restated", "why"),
    ),
)
