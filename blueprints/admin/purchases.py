"""Purchases: what was paid for at Stripe and credited, and what was taken back of it."""

from __future__ import annotations

from uuid import UUID

from flask import current_app, render_template

from blueprints.admin import blueprint, exports, filters, lists
from extensions import db
from makegood.models import StripeAccount
from makegood.purchases import history, waiting_room
from makegood.purchases.checks import PAID_BY
from makegood.purchases.history import KINDS, PurchaseFilters
from makegood.purchases.linking import LINKED_BY
from makegood.stats import begin_snapshot
from makegood.stripe import progress

LABELS = {
    "kind": "Paid by",
    "state": "Money",
    "customer": "Customer",
    "source": "Stripe's object",
}
STATES = {
    "kept": "all kept",
    "returned_in_part": "a part went back",
    "returned": "all went back",
    "owed": "credits are owed",
}
CHOICES = {"kind": KINDS, "state": STATES}
CAUSES = {
    "refund": "Payment refunded",
    "dispute": "Payment disputed",
    "refund_failed": "Refund failed: the money came back",
    "dispute_won": "Dispute won: the money came back",
    "debt": "Debt settled",
}


@blueprint.get("/purchases")
def purchases() -> str:
    """Purchases, newest first, as the filters in the URL say."""
    begin_snapshot(db.session())
    return render_template(
        "admin/purchases.html",
        **LIST.shown(),
        choices=CHOICES,
        **about(),
    )


@blueprint.get("/purchases/<uuid:purchase_id>")
def purchase(purchase_id: UUID) -> str:
    """One purchase, and what was taken back of it."""
    begin_snapshot(db.session())
    return render_template(
        "admin/purchase.html",
        detail=history.read(db.session(), purchase_id),
        kinds=KINDS,
        linked_by=LINKED_BY,
        causes=CAUSES,
        **about(),
    )


def about() -> dict[str, object]:
    """What every page of purchases says: `account`'s, and how many wait to be linked."""
    return {**account(), "to_link": waiting_room.count(db.session())}


def account() -> dict[str, object]:
    """Whether Stripe is set up, since when payments are credited, whether they are of real money, and the titles
    of the lists without which nobody can say that there is nothing more."""
    kept = db.session.get(StripeAccount, 1)
    return {
        "set_up": kept is not None or current_app.config["SETTINGS"].stripe.api_key is not None,
        "grants_since": kept.grants_since if kept else None,
        "livemode": bool(kept and kept.livemode),
        "partly": [progress.title(name) for name in progress.unread(db.session(), PAID_BY)],
    }


def _wanted(asked: filters.Filters) -> PurchaseFilters:
    return PurchaseFilters(
        asked["kind"], asked["state"], asked["customer"], asked["source"], None, asked.start, asked.end
    )


LIST = lists.add(
    lists.ListPage("admin.purchases", history.PURCHASES, LABELS, _wanted, CHOICES),
    "purchases",
    "Purchases",
    (
        exports.column("paid_at"),
        exports.column("purchase_id", "id"),
        exports.column("customer_id"),
        exports.column("linked_by"),
        exports.column("paid_by", "source_kind"),
        exports.column("stripe_id", "source_id"),
        exports.column("credits"),
        exports.column("currency"),
        exports.major("amount"),
        exports.major("paid"),
        exports.major("returned"),
        exports.column("credits_taken_back", "clawed"),
        exports.column("credits_owed", "owed"),
        exports.column("credits_expired_before", "gone"),
        exports.column("credits_left", "left"),
        exports.column("expires_at"),
        exports.column("granted_at"),
    ),
)
