"""Objects that are payments, or what becomes of them, in the shapes of `simulator.stripe.objects`."""

from __future__ import annotations

from simulator.stripe.objects import Object


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
