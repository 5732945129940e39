"""The pages that are measured: what the navigation leads to, and of each what is asked for that costs the most."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import text

from blueprints.admin import exports
from blueprints.admin.navigation import GROUPS
from extensions import db

# A failed generation, and another customer than its own who has paid.
FAILED = text("SELECT id, customer_id FROM generations WHERE status = 'failed' ORDER BY charged_at DESC LIMIT 1")
PAYER = text("SELECT customer_id FROM purchases WHERE customer_id <> :failed ORDER BY paid_at DESC LIMIT 1")
# Who has by far the most generations, and the ledger entry in the middle of theirs.
HOUSE = text(
    "SELECT customer_id, (SELECT entries / 2 FROM balances WHERE balances.customer_id = used.customer_id)"
    "  FROM rollup_customer_months AS used GROUP BY 1 ORDER BY sum(generations) DESC LIMIT 1"
)

# Of the money, what the navigation leads to by way of another page.
BESIDE = (
    "admin.balance_transactions", "admin.exchange_rates", "admin.unlinked", "admin.purchase_check",
    "admin.stripe_events",
)  # fmt: skip

MONITORING = tuple(f"/admin/monitoring/{one}" for one in ("usage", "customers", "failures", "refunds", "latency"))
MONEY = ("/admin/revenue", "/admin/margin", "/admin/margin/customers", "/admin/liability", "/admin/subscriptions")
FIGURES = ("/admin/", *MONITORING, "/admin/providers", "/admin/providers/provider-1", *MONEY)
"""The pages with a range."""
RANGES = ("today", "7d", "30d", "90d")
ZONED = ("/admin/", *MONITORING, "/admin/providers/provider-1", "/admin/revenue")
"""Those of them that may be asked for in another time zone than the reports'."""
ZONES = ("Asia/Tokyo", "Asia/Kolkata")

FILTERED = (
    "/admin/monitoring/usage?range=90d&provider=provider-1",
    "/admin/monitoring/usage?range=90d&model=model-3&tier=pro",
    "/admin/monitoring/usage?range=90d&provider=nobody",
    "/admin/monitoring/customers?range=90d&sort=cost",
    "/admin/monitoring/customers?range=90d&tier=pro",
    "/admin/monitoring/customers?range=30d&tier=pro",
    "/admin/monitoring/failures?range=90d&provider=provider-0",
    "/admin/monitoring/failures?range=90d&model=model-0&error=timeout",
    "/admin/monitoring/refunds?range=90d&reason=timeout",
    "/admin/monitoring/latency?range=90d&provider=provider-1",
    "/admin/monitoring/latency?range=90d&model=model-3",
    "/admin/revenue?range=90d&currency=eur",
    "/admin/subscriptions?range=90d&currency=eur",
    "/admin/margin/customers?range=90d&sort=recognised",
    "/admin/margin/customers?range=90d&group=losing",
    "/admin/generations?provider=provider-0&status=failed",
    "/admin/generations?provider=provider-1&model=model-3&status=failed",
    "/admin/generations?tier=pro&status=cancelled",
    "/admin/generations?range=90d&tier=pro&provider=provider-1",
    "/admin/failures?provider=provider-0&error=timeout",
    "/admin/failures?provider=provider-1&error=timeout",
    "/admin/failures?late=succeeded",
    "/admin/refunds?provider=provider-0&reason=timeout",
    "/admin/refunds?provider=provider-1&reason=timeout",
    "/admin/refunds?model=model-3&reason=timeout",
    "/admin/refunds?reversed=yes",
    "/admin/customers?tier=pro&balance=none",
    "/admin/customers?balance=some",
    "/admin/customers?q=customer-12",
    "/admin/purchases?state=owed",
    "/admin/revenue/transactions?range=90d&currency=eur",
    "/admin/subscriptions/all?status=active",
    "/admin/subscriptions/movements?range=90d&kind=new",
)
OF_ONE = (
    "/admin/generations?customer={}",
    "/admin/generations?customer={}&range=90d&provider=provider-1",
    "/admin/generations?customer={}&status=failed",
    "/admin/generations?customer={}&status=cancelled",
    "/admin/generations?customer={}&model=nothing",
    "/admin/failures?customer={}",
    "/admin/failures?customer={}&error=timeout",
    "/admin/refunds?customer={}",
    "/admin/refunds?customer={}&reason=nothing",
    "/admin/purchases?customer={}",
    "/admin/revenue/transactions?customer={}",
    "/admin/subscriptions/all?customer={}",
    "/admin/customers?q={}",
    "/admin/search?q={}",
    "/admin/search/suggest?q={}",
    "/admin/audit?subject=customer:{}",
    "/admin/customers/{}",
    "/admin/adjustments/{}",
    "/admin/payment-methods/{}",
    "/admin/exports/generations?customer={}",
    "/admin/exports/generations?customer={}&range=90d",
    "/admin/exports/failures?customer={}",
    "/admin/exports/refunds?customer={}",
)
"""What is asked for of one customer."""
NOTHING = (
    "/admin/generations?provider=nobody",
    "/admin/generations?model=nothing&status=succeeded",
    "/admin/failures?provider=nobody",
    "/admin/failures?error=nothing",
    "/admin/refunds?provider=nobody",
    "/admin/refunds?reason=nothing",
    "/admin/customers?q=nobody",
    "/admin/purchases?customer=nobody",
    "/admin/revenue/transactions?customer=nobody",
    "/admin/subscriptions/all?customer=nobody",
    "/admin/subscriptions/movements?customer=nobody",
    "/admin/callbacks?provider=nobody",
    "/admin/stripe/events?type=nothing",
    "/admin/audit?actor=nobody",
    "/admin/search?q=nobody",
    "/admin/search?q=nobody@example.com",
    "/admin/search?q=cus_nobody",
    "/admin/search?q=00000000-0000-7000-8000-000000000000",
)
"""Lists and searches that find nothing: a wrong plan reads everything for them."""

OF_A_CUSTOMER = {"grants", "ledger", "notes"}
OF_AN_OBJECT = {"bill_rows", "bulk-refund", *OF_A_CUSTOMER}
"""The files of one bill, bulk refund or customer."""


def every(app: Flask) -> list[str]:
    """All of them, in the database of the application."""
    with app.test_request_context(), app.app_context():
        generation_id, customer_id = db.session.execute(FAILED).one()
        payer_id = db.session.scalar(PAYER, {"failed": customer_id})
        house_id, middle = db.session.execute(HOUSE).one()
        entries = [entry.endpoint for _, group in GROUPS for entry in group]
        plain = [
            app.url_for(endpoint, _external=False)
            for endpoint in [*entries, *BESIDE]
            if endpoint in app.view_functions
        ]
    named = (payer_id, house_id)
    found = [
        *(path for path in plain if path not in FIGURES),
        *(f"{path}?range={one}" for path in FIGURES for one in RANGES),
        *(f"{path}?range=90d&zone={zone}" for path in ZONED for zone in ZONES),
        *FILTERED,
        *NOTHING,
        *(f"/admin/exports/{name}?range=90d" for name in sorted(exports.names() - OF_AN_OBJECT)),
        *(f"/admin/exports/{name}?customer_id={one}" for name in sorted(OF_A_CUSTOMER) for one in named),
        *(path.format(one) for path in OF_ONE for one in named),
        f"/admin/customers/{house_id}?before={middle}",
        f"/admin/generations/{generation_id}",
        f"/admin/generations/{generation_id}/refund",
        f"/admin/customers/{customer_id}",
        f"/admin/search?q={generation_id}",
        "/admin/bulk-refunds/new",
    ]
    return list(dict.fromkeys(found))
