"""Objects in the shapes of Stripe's API 2026-10-28.endive, as the account keeps them: what is sold, and to whom.

References to other objects are ids. What Stripe embeds as a list (items, lines) is a plain list here, and what it
shows only when asked (tiers, line items, payments) is there too: `simulator.stripe.rendering` makes the answers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

Object = dict[str, Any]

API_VERSION = "2026-10-28.endive"
PREFIXES = {
    "balance_transaction": "txn_",
    "charge": "ch_",
    "checkout.session": "cs_test_",
    "coupon": "",
    "customer": "cus_",
    "discount": "di_",
    "dispute": "du_",
    "event": "evt_",
    "invoice": "in_",
    "invoice_payment": "inpay_",
    "line_item": "il_",
    "item": "li_",
    "payment_intent": "pi_",
    "payment_method": "pm_",
    "payout": "po_",
    "price": "price_",
    "product": "prod_",
    "refund": "re_",
    "subscription": "sub_",
    "subscription_item": "si_",
}
RESOURCES = {
    "balance_transaction": "balance_transactions",
    "charge": "charges",
    "checkout.session": "checkout_sessions",
    "coupon": "coupons",
    "customer": "customers",
    "dispute": "disputes",
    "event": "events",
    "invoice": "invoices",
    "invoice_payment": "invoice_payments",
    "payment_intent": "payment_intents",
    "payment_method": "payment_methods",
    "payout": "payouts",
    "price": "prices",
    "product": "products",
    "refund": "refunds",
    "subscription": "subscriptions",
}
"""The account's lists, by the type of what is in them."""


def product(name: str, metadata: dict[str, str]) -> Object:
    """What is sold."""
    return {
        "object": "product",
        "active": True,
        "default_price": None,
        "description": None,
        "metadata": dict(metadata),
        "name": name,
        "type": "service",
    }


def price(product_id: str, currency: str, unit_amount: Decimal | int | None, **more: Any) -> Object:
    """What a product costs. A `unit_amount` with a fraction of the minor unit is in `unit_amount_decimal` only."""
    whole = None if unit_amount is None or unit_amount != int(unit_amount) else int(unit_amount)
    recurring = more.get("recurring")
    if recurring is not None:
        recurring = {
            "interval": "month",
            "interval_count": 1,
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
            **recurring,
        }
    return {
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "currency": currency,
        "custom_unit_amount": None,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": product_id,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "unit_amount": whole,
        "unit_amount_decimal": None if unit_amount is None else f"{unit_amount}",
        **more,
        "recurring": recurring,
        "type": "one_time" if recurring is None else "recurring",
    }


def coupon(duration: str, **more: Any) -> Object:
    """A discount: `percent_off`, or `amount_off` with its `currency`."""
    return {
        "object": "coupon",
        "amount_off": None,
        "currency": None,
        "duration": duration,
        "duration_in_months": None,
        "max_redemptions": None,
        "metadata": {},
        "name": None,
        "percent_off": None,
        "redeem_by": None,
        "times_redeemed": 0,
        "valid": True,
        **more,
    }


def customer(email: str | None, metadata: dict[str, str]) -> Object:
    """A customer."""
    return {
        "object": "customer",
        "address": None,
        "balance": 0,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "email": email,
        "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None},
        "metadata": dict(metadata),
        "name": None,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
    }
