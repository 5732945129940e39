"""The customers who used most in a range."""

from __future__ import annotations

from blueprints import access
from blueprints.access import poll
from blueprints.admin import blueprint, exports, monitoring
from blueprints.admin.filters import Filters
from blueprints.admin.monitoring_usage import MEASURES
from makegood import generation_log, throttles
from makegood.stats import customers, top_customers
from makegood.stats.customers import SORTS
from makegood.stats.top_customers import LISTED

SORTED_BY = {
    "generations": "generations charged",
    "failed": "failures",
    "refunds": "refunds",
    "credits": "credits net",
    "cost": "cost",
    "loss": "platform loss",
}
CHANGE = {
    "generations": ("generations", "count", 0),
    "failed": ("failed", "count", -1),
    "refunds": ("refunds", "count", -1),
    "credits": ("net_credits", "count", 0),
    "cost": ("known_cost_micros", "usd", 0),
    "loss": ("loss_micros", "usd", -1),
}
"""Of which figure the change is shown, how it is written, and whether more of it is good (1) or bad (−1)."""
PAGE = monitoring.Page(
    "admin.monitoring_customers",
    "Top customers",
    f"The first {LISTED}; the CSV has all",
    ("monitoring_customers_cards", "monitoring_customers_list"),
    ("tier", "sort"),
    "No customer used anything in this range.",
    words={"sort": SORTED_BY},
)


@blueprint.get("/monitoring/customers")
@access.throttled(throttles.STATS)
def monitoring_customers() -> str:
    """The page."""
    return _show("admin/monitoring.html")


@blueprint.get("/pulse/monitoring/customers")
@poll
def monitoring_customers_pulse() -> str:
    """Its panels as fragments."""
    return _show("admin/pulse.html")


def _show(template: str) -> str:
    asked = PAGE.read()
    session, terms, span = monitoring.begin(asked)
    view = top_customers.top(session, terms, span, sort=_sort(asked), tier=asked["tier"])
    tiers = [(name, name) for name in generation_log.choices(session).tiers]
    return PAGE.show(
        template,
        asked,
        view,
        [],
        sort=_sort(asked),
        sorted_by=SORTED_BY,
        change=CHANGE[_sort(asked)],
        listed=LISTED,
        choices={"tier": tiers},
    )


def _sort(asked: Filters) -> str:
    chosen = asked["sort"]
    return chosen if chosen in SORTS else SORTS[0]


monitoring.export(
    PAGE,
    "top-customers",
    "Top customers",
    lambda session, terms, span, asked: customers.every(
        session, terms, span, sort=_sort(asked), tier=asked["tier"]
    ),
    (
        exports.column("customer_id"),
        exports.column("email"),
        exports.column("tier_now", "tier"),
        exports.column("balance_now", "balance"),
        *MEASURES,
    ),
)
