"""Where Stripe's own dashboard shows an object: every id of Stripe's in the console leads there."""

from __future__ import annotations

from urllib.parse import quote

from blueprints.admin import blueprint

AT_STRIPE = {
    "ch": "payments",
    "py": "payments",
    "pi": "payments",
    "po": "payouts",
    "evt": "events",
    "du": "disputes",
    "dp": "disputes",
    "sub": "subscriptions",
    "cus": "customers",
    "tr": "connect/transfers",
    "tu": "topups",
}
"""Where Stripe's dashboard shows an object, by how its id begins; others are found by its search."""


@blueprint.app_template_global()
def at_stripe(identifier: str, livemode: bool) -> str:
    """The address of an object in Stripe's dashboard."""
    mode = "" if livemode else "/test"
    place = AT_STRIPE.get(identifier.partition("_")[0])
    quoted = quote(identifier, safe="")
    path = f"{place}/{quoted}" if place else f"search?query={quoted}"
    return f"https://dashboard.stripe.com{mode}/{path}"
