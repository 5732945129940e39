"""The columns beside an object's body: what we search, join and add up by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Body = Mapping[str, Any]


def of(resource: str, body: Body, *, livemode: bool) -> dict[str, Any]:
    """The typed columns of an object of this resource. `livemode` is for objects that do not say."""
    return {
        "id": body["id"],
        "created_at": moment(body["created"]),
        "livemode": bool(body.get("livemode", livemode)),
        **_COLUMNS[resource](body),
    }


def moment(seconds: int | None) -> datetime | None:
    """Unix seconds as a time."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _id(value: Any) -> str | None:
    """The id of what may be an id, the object itself, or nothing."""
    return value.get("id") if isinstance(value, Mapping) else value


def _user_id(body: Body) -> str | None:
    """The user's id that the platform's checkout wrote into the metadata."""
    return (body.get("metadata") or {}).get("user_id") or None


def _balance_transaction(body: Body) -> dict[str, Any]:
    return _same(body, "type", "reporting_category", "currency", "amount", "fee", "net", "status") | {
        "source": _id(body.get("source")),
        "available_on": moment(body["available_on"]),
    }


def _charge(body: Body) -> dict[str, Any]:
    amounts = ("amount", "amount_captured", "amount_refunded", "disputed")
    return _same(body, "status", "currency", *amounts) | {
        "payment_intent": _id(body.get("payment_intent")),
        "stripe_customer_id": _id(body.get("customer")),
        "email": (body.get("billing_details") or {}).get("email") or body.get("receipt_email"),
        "user_id": _user_id(body),
        "balance_transaction": _id(body.get("balance_transaction")),
    }


def _refund(body: Body) -> dict[str, Any]:
    return _same(body, "status", "currency", "amount") | {
        "charge_id": _id(body.get("charge")),
        "payment_intent": _id(body.get("payment_intent")),
        "balance_transaction": _id(body.get("balance_transaction")),
        "failure_balance_transaction": _id(body.get("failure_balance_transaction")),
    }


def _dispute(body: Body) -> dict[str, Any]:
    return _same(body, "status", "currency", "amount") | {
        "charge_id": _id(body.get("charge")),
        "payment_intent": _id(body.get("payment_intent")),
    }


def _invoice(body: Body) -> dict[str, Any]:
    parent = (body.get("parent") or {}).get("subscription_details") or {}
    transitions = body.get("status_transitions") or {}
    amounts = ("currency", "amount_due", "amount_paid", "total")
    return _same(body, "status", "billing_reason", *amounts) | {
        "stripe_customer_id": _id(body.get("customer")),
        "subscription_id": _id(parent.get("subscription")),
        "tax": sum(one["amount"] for one in body.get("total_taxes") or ()),
        "paid_at": moment(transitions.get("paid_at")),
    }


def _invoice_payment(body: Body) -> dict[str, Any]:
    payment = body.get("payment") or {}
    return _same(body, "status", "currency", "amount_paid") | {
        "invoice_id": _id(body["invoice"]),
        "payment_intent": _id(payment.get("payment_intent")),
        "charge_id": _id(payment.get("charge")),
    }


def _subscription(body: Body) -> dict[str, Any]:
    times = ("trial_end", "cancel_at", "canceled_at", "ended_at")
    return (
        _same(body, "status", "currency")
        | {"stripe_customer_id": _id(body.get("customer")), "user_id": _user_id(body)}
        | {name: moment(body.get(name)) for name in times}
    )


def _customer(body: Body) -> dict[str, Any]:
    return {"email": body.get("email"), "user_id": _user_id(body)}


def _price(body: Body) -> dict[str, Any]:
    return _same(body, "active", "currency", "unit_amount") | {"product_id": _id(body.get("product"))}


def _checkout_session(body: Body) -> dict[str, Any]:
    details = body.get("customer_details") or {}
    return _same(body, "mode", "status", "payment_status", "client_reference_id", "currency", "amount_total") | {
        "stripe_customer_id": _id(body.get("customer")),
        "email": details.get("email") or body.get("customer_email"),
        "payment_intent": _id(body.get("payment_intent")),
        "subscription_id": _id(body.get("subscription")),
        "invoice_id": _id(body.get("invoice")),
    }


def _payout(body: Body) -> dict[str, Any]:
    return _same(body, "status", "currency", "amount") | {"arrival_date": moment(body.get("arrival_date"))}


def _same(body: Body, *names: str) -> dict[str, Any]:
    return {name: body.get(name) for name in names}


_COLUMNS: Mapping[str, Callable[[Body], dict[str, Any]]] = {
    "balance_transactions": _balance_transaction,
    "charges": _charge,
    "checkout_sessions": _checkout_session,
    "coupons": lambda body: _same(body, "duration"),
    "customers": _customer,
    "disputes": _dispute,
    "invoice_payments": _invoice_payment,
    "invoices": _invoice,
    "payouts": _payout,
    "prices": _price,
    "products": lambda body: _same(body, "name", "active"),
    "refunds": _refund,
    "subscriptions": _subscription,
}
