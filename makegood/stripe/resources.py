"""The lists of Stripe that are read: where each is, what it needs, and how much of it is read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Resource:
    """One list of Stripe's.

    `expand` are the properties that only come when asked for, named from one object; Stripe allows four levels,
    counting `data` in a list. `embedded` are the lists inside an object that come cut off after ten items.
    `whole`: the list is short, or no filter finds what changed in it, so each reading reads all of it.
    `permission` is what the restricted key needs to be allowed to read, as Stripe's dashboard names it.
    """

    name: str
    title: str
    object_type: str
    path: str
    permission: str
    expand: tuple[str, ...] = ()
    embedded: tuple[str, ...] = ()
    whole: bool = False
    asked_with: Mapping[str, str] = field(default_factory=dict)


_ALL = (
    Resource("products", "Products", "product", "/v1/products", "Products", whole=True),
    Resource(
        "prices", "Prices", "price", "/v1/prices", "Prices", expand=("tiers", "currency_options"), whole=True
    ),
    Resource(
        "coupons",
        "Coupons",
        "coupon",
        "/v1/coupons",
        "Coupons",
        expand=("applies_to", "currency_options"),
        whole=True,
    ),
    Resource("customers", "Customers", "customer", "/v1/customers", "Customers"),
    Resource(
        "subscriptions",
        "Subscriptions",
        "subscription",
        "/v1/subscriptions",
        "Subscriptions",
        expand=("discounts.source.coupon", "items.data.discounts"),
        embedded=("items",),
        whole=True,
        asked_with={"status": "all"},
    ),
    Resource("invoices", "Invoices", "invoice", "/v1/invoices", "Invoices", embedded=("lines",)),
    Resource("invoice_payments", "Invoice payments", "invoice_payment", "/v1/invoice_payments", "Invoices"),
    Resource(
        "checkout_sessions",
        "Checkout sessions",
        "checkout.session",
        "/v1/checkout/sessions",
        "Checkout Sessions",
        expand=("line_items",),
        embedded=("line_items",),
    ),
    Resource("charges", "Charges", "charge", "/v1/charges", "Charges and Refunds"),
    Resource("refunds", "Refunds", "refund", "/v1/refunds", "Charges and Refunds"),
    Resource("disputes", "Disputes", "dispute", "/v1/disputes", "Disputes"),
    Resource(
        "balance_transactions",
        "Balance transactions",
        "balance_transaction",
        "/v1/balance_transactions",
        "Balance",
    ),
    Resource("payouts", "Payouts", "payout", "/v1/payouts", "Payouts"),
)

RESOURCES: Mapping[str, Resource] = {resource.name: resource for resource in _ALL}
"""By name, in the order in which they are read: what others refer to comes first."""

RESOURCE_OF: Mapping[str, str] = {resource.object_type: resource.name for resource in _ALL}
"""The resource that an object is in, by the object's type."""

EMBEDDED_EXPAND: Mapping[str, tuple[str, ...]] = {"items": ("data.discounts",)}
"""What the items of an embedded list need to be asked for beyond its first ten."""
