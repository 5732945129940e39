"""What is owed to customers in paid credits: by the age of the purchase, by expiry, and how it came about."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from flask import current_app

from blueprints import access
from blueprints.access import poll
from blueprints.admin import blueprint, exports, monitoring
from makegood import money, throttles
from makegood.revenue import liability, margin
from makegood.revenue.margin_rules import LIABILITY

LISTED = 50
PAGE = monitoring.Page(
    "admin.liability",
    "Credit liability",
    "Paid credits that are not used yet, at the price paid for them",
    (
        "liability_cards",
        "liability_currencies",
        "liability_ages",
        "liability_expiries",
        "liability_moved",
        "liability_lots",
    ),
    ("currency",),
    "No paid credits are left.",
    compared=False,
)


@blueprint.get("/liability", endpoint="liability")
@access.throttled(throttles.STATS)
def liability_page() -> str:
    """The page."""
    return _show("admin/monitoring.html")


@blueprint.get("/pulse/liability")
@poll
def liability_pulse() -> str:
    """Its panels as fragments."""
    return _show("admin/pulse.html")


def _show(template: str) -> str:
    asked = PAGE.read()
    session, terms, span = monitoring.begin(asked)
    view = liability.report(session, terms, margin.whole_days(span, terms))
    shown = view.of(asked.currency)
    connected = current_app.config["SETTINGS"].stripe.api_key is not None
    page = PAGE
    if not view.currencies:
        page = replace(PAGE, panels=("liability_empty" if connected or view.since else "margin_setup",))
    elif shown is None:
        page = replace(PAGE, panels=("liability_none",))
    currency = shown.currency if shown else None
    return page.show(
        template,
        asked,
        view,
        [],
        choices=page.choices({"currency": [one.currency for one in view.currencies]}, asked),
        shown=shown,
        currency=currency,
        lots=session.execute(liability.select_lots(currency).limit(LISTED)).all() if shown else [],
        rules=LIABILITY,
        listed=LISTED,
        rounded=money.rounded,
        worth=_worth,
    )


def _worth(lot: Any) -> int:
    """What is owed for the credits that are left of a purchase, in minor units."""
    return money.rounded(Fraction(lot.amount * int(lot.left), lot.credits))


def _exactly(lot: Any) -> Decimal:
    """What is owed for it, in its currency, to the millionth of a minor unit: rows that are added up come to what
    the page says."""
    millionths = money.rounded(Fraction(lot.amount * int(lot.left), lot.credits) * 1_000_000)
    return money.major(millionths, lot.currency) / 1_000_000


exports.add(
    exports.Table(
        "liability",
        "Paid credits that are left",
        PAGE.endpoint,
        lambda: liability.select_lots(PAGE.read().currency),
        (
            exports.column("purchase", "id"),
            exports.column("customer_id"),
            exports.column("email"),
            exports.column("paid_at"),
            exports.column("source_kind"),
            exports.column("source_id"),
            exports.column("currency"),
            exports.Column("amount", lambda lot: money.major(lot.amount, lot.currency)),
            exports.column("credits"),
            exports.Column("left", lambda lot: int(lot.left)),
            exports.Column("owed", _exactly),
            exports.column("expires_at"),
        ),
    )
)
