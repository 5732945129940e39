"""Subscriptions as Stripe describes them, for tests: only what the rules read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from makegood.models import StripeResource, Subscription

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
Object = dict[str, Any]


def price(amount: int | str | None = 1000, interval: str = "month", count: int = 1, **more: Any) -> Object:
    """A price per unit; a text is a decimal amount."""
    exact = {"unit_amount_decimal": amount} if isinstance(amount, str) else {"unit_amount_decimal": None}
    return {
        "id": more.pop("id", f"price_{amount}_{interval}_{count}"),
        "currency": "usd",
        "product": "prod_1",
        "billing_scheme": "per_unit",
        "unit_amount": amount if isinstance(amount, int) else None,
        **exact,
        "recurring": {"interval": interval, "interval_count": count, "usage_type": more.pop("usage", "licensed")},
        **more,
    }


def item(of: Object, quantity: int | None = 1, **more: Any) -> Object:
    """An item of a subscription."""
    return {"id": more.pop("id", f"si_{of['id']}"), "price": of, "quantity": quantity, "discounts": [], **more}


def subscription(*items: Object, **more: Any) -> Object:
    """An active subscription, in US dollars unless said otherwise; a price alone stands for one item of it."""
    listed = [one if "price" in one else item(one) for one in items]
    return {
        "id": "sub_1",
        "customer": "cus_1",
        "status": "active",
        "currency": "usd",
        "items": {"data": listed, "has_more": False},
        "discounts": [],
        "cancel_at": None,
        "cancel_at_period_end": False,
        "pause_collection": None,
        "default_tax_rates": [],
        **more,
    }


def discount(coupon: Object | str, end: int | None = None) -> Object:
    """A coupon that was redeemed."""
    return {"id": "di_1", "object": "discount", "end": end, "source": {"type": "coupon", "coupon": coupon}}


def percent(off: int | float, duration: str = "forever", **more: Any) -> Object:
    """A coupon of a share."""
    return {"id": f"co_{off}", "percent_off": off, "amount_off": None, "duration": duration, **more}


def money_off(amount: int, duration: str = "forever", currency: str = "usd", **more: Any) -> Object:
    """A coupon of an amount."""
    return {"id": f"co_{amount}", "amount_off": amount, "currency": currency, "percent_off": None,
            "duration": duration, **more}  # fmt: skip


def keep(session: Session, body: Object, at: datetime = NOW) -> None:
    """Store a subscription, in the place of what was stored of it."""
    values = {
        "created_at": at,
        "livemode": False,
        "stripe_customer_id": body["customer"],
        "status": body["status"],
        "currency": body["currency"],
        "trial_end": body.get("trial_end"),
        "ended_at": body.get("ended_at"),
        "read_at": at,
    }
    kept = {key: value for key, value in body.items() if key not in ("trial_end", "ended_at")}
    session.merge(Subscription(id=body["id"], body=kept, **values))
    session.flush()


def all_read(session: Session, resource: str, at: datetime = NOW) -> None:
    """Say that a list of Stripe's has been read."""
    session.merge(StripeResource(name=resource, state="current", finished_at=at, read_at=at))
    session.flush()
