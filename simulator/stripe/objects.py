"""Objects in the shapes of Stripe's API 2026-10-28.endive, as the account keeps them.

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


def payment_method(customer_id: str, brand: str, last4: str, expires: tuple[int, int]) -> Object:
    """A card."""
    return {
        "object": "payment_method",
        "billing_details": {"email": None, "name": None, "phone": None, "address": None},
        "card": {
            "brand": brand,
            "country": "US",
            "exp_month": expires[0],
            "exp_year": expires[1],
            "funding": "credit",
            "last4": last4,
        },
        "customer": customer_id,
        "metadata": {},
        "type": "card",
    }


def payment_intent(amount: int, currency: str, customer_id: str | None, metadata: dict[str, str]) -> Object:
    """The attempts to have one amount paid."""
    return {
        "object": "payment_intent",
        "amount": amount,
        "amount_received": 0,
        "currency": currency,
        "customer": customer_id,
        "latest_charge": None,
        "metadata": dict(metadata),
        "status": "requires_payment_method",
    }


def charge(intent: Object, email: str | None, metadata: dict[str, str]) -> Object:
    """One attempt. There is no `invoice` any more: since 2025-03-31.basil an invoice payment connects them."""
    return {
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "balance_transaction": None,
        "billing_details": {"address": None, "email": email, "name": None, "phone": None},
        "captured": False,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": None,
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "metadata": dict(metadata),
        "outcome": None,
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method": None,
        "payment_method_details": {"card": {"brand": "visa", "last4": "4242"}, "type": "card"},
        "receipt_email": None,
        "refunded": False,
        "status": "pending",
    }


def refund(charge: Object, amount: int, status: str, metadata: dict[str, str]) -> Object:
    """Money that goes back."""
    return {
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "currency": charge["currency"],
        "customer": charge["customer"],
        "failure_balance_transaction": None,
        "failure_reason": None,
        "metadata": dict(metadata),
        "payment_intent": charge["payment_intent"],
        "reason": "requested_by_customer",
        "status": status,
    }


def dispute(charge: Object, amount: int, status: str, reason: str) -> Object:
    """A charge that the customer's bank calls in question. Its balance transactions are embedded in full."""
    return {
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "currency": charge["currency"],
        "evidence_details": {"due_by": None, "has_evidence": False, "past_due": False, "submission_count": 0},
        "is_charge_refundable": status.startswith("warning_"),
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": status,
    }


def payout(amount: int, currency: str, arrival: int) -> Object:
    """Money on its way to the account's bank."""
    return {
        "object": "payout",
        "amount": amount,
        "arrival_date": arrival,
        "automatic": True,
        "balance_transaction": None,
        "currency": currency,
        "destination": None,
        "failure_balance_transaction": None,
        "failure_code": None,
        "metadata": {},
        "method": "standard",
        "reconciliation_status": "completed",
        "status": "paid",
        "type": "bank_account",
    }


def balance_transaction(kind: str, category: str, currency: str, amount: int, fee: int) -> Object:
    """What moved the balance, in the settlement currency."""
    details = [{"amount": fee, "application": None, "currency": currency, "type": "stripe_fee"}] if fee else []
    for one in details:
        one["description"] = "Stripe processing fees"
    return {
        "object": "balance_transaction",
        "amount": amount,
        "balance_type": "payments",
        "currency": currency,
        "description": None,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": details,
        "net": amount - fee,
        "reporting_category": category,
        "source": None,
        "status": "pending",
        "type": kind,
    }
