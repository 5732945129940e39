"""Subscriptions as Stripe describes them, for tests: only what the rules read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from makegood import customers
from makegood.models import Customer, Invoice, StripeCustomer, StripePrice, StripeResource, Subscription
from makegood.revenue import estimates, snapshots
from makegood.revenue.mrr_rules import MrrRules

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)
UTC_ZONE = ZoneInfo("UTC")
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
        "created_at": body.get("began", at),
        "livemode": False,
        "stripe_customer_id": body["customer"],
        "status": body["status"],
        "currency": body["currency"],
        "cancel_at": body.get("ends_at"),
        "trial_end": body.get("trial_end"),
        "ended_at": body.get("ended_at"),
        "read_at": at,
    }
    kept = {key: value for key, value in body.items() if not isinstance(value, datetime)}
    session.merge(Subscription(id=body["id"], body=kept, **values))
    session.flush()


def all_read(session: Session, resource: str, at: datetime = NOW) -> None:
    """Say that a list of Stripe's has been read."""
    session.merge(StripeResource(name=resource, state="current", finished_at=at, read_at=at))
    session.flush()


def sold(session: Session, name: str, interval: str, **more: str) -> None:
    """Store a price of an interval."""
    body = price(1000, interval, **more)
    session.merge(
        StripePrice(id=name, created_at=NOW, livemode=False, active=True, currency="usd", body=body, read_at=NOW)
    )
    session.flush()


def line(cents: int, start: datetime, days: int, **more: Any) -> Object:
    """A line of an invoice: one item's, for a period."""
    details = {"subscription_item": more.pop("item", "si_1"), "proration": more.pop("proration", False)}
    return {
        "amount": cents,
        "currency": "usd",
        "period": {"start": int(start.timestamp()), "end": int((start + days * DAY).timestamp())},
        "parent": {"type": "subscription_item_details", "subscription_item_details": details},
        "pricing": {"price_details": {"price": more.pop("price", "price_1")}},
        "discount_amounts": [],
        "taxes": [],
        **more,
    }


def paid(session: Session, name: str, customer: str, at: datetime, *lines: Object, **more: Any) -> None:
    """Store a paid invoice."""
    invoice = Invoice(
        id=name,
        created_at=at,
        livemode=False,
        stripe_customer_id=customer,
        status="paid",
        currency="usd",
        amount_due=0,
        amount_paid=sum(one["amount"] for one in lines),
        total=0,
        tax=0,
        body={"lines": {"data": list(lines)}},
        read_at=at,
        **more,
    )
    session.merge(invoice)


def a_quarter(session: Session, now: datetime) -> None:
    """Three months of subscriptions of every kind: estimated from invoices, then by snapshots of twelve days."""
    sold(session, "price_1", "month")
    for resource in ("subscriptions", "invoices", "charges"):
        all_read(session, resource, now - timedelta(minutes=1))
    for number in range(14):
        name, began = f"{number:02}", now - timedelta(days=84 - 5 * number)
        cents = (900, 1900, 4900)[number % 3]
        customer = StripeCustomer(id=f"cus_Q8sZk{name}", created_at=began, livemode=False, body={}, read_at=now,
                                  email=f"user_{1001 + number}@example.com",
                                  customer_id=f"user_{1001 + number}" if number < 9 else None)  # fmt: skip
        if customer.customer_id and session.get(Customer, customer.customer_id) is None:
            customers.upsert(session, customer.customer_id, email=customer.email, tier="free", timezone=UTC_ZONE)
        session.merge(customer)
        for month in range(3):
            start = began + month * 30 * DAY
            if start < now and (number != 4 or month < 1):
                paid(session, f"in_{name}{month}", customer.id, start, line(cents, start, 30, item=f"si_{name}"))
    _twelve_days(session, now)


def _twelve_days(session: Session, now: datetime) -> None:
    rules = MrrRules()
    more: dict[int, Object] = {
        3: {"currency": "eur"},
        4: {"status": "canceled", "ended_at": now - 40 * DAY},
        6: {"status": "past_due"},
        8: {"status": "trialing", "trial_end": now + 5 * DAY},
        10: {"cancel_at_period_end": True, "ends_at": now + 9 * DAY},
        12: {"discounts": ["di_unread"]},
        13: {"status": "canceled", "trial_end": now - 3 * DAY, "ended_at": now - 3 * DAY},
    }
    for back in range(11, -1, -1):
        for number in {11: range(14), 5: (2,), 3: (5,)}.get(back, ()):
            cents = (900, 1900, 4900)[number % 3] * (2 if number == 2 and back < 6 else 1)
            currency = more.get(number, {}).get("currency", "usd")
            body = subscription(
                price(cents, currency=currency),
                **{"began": now - timedelta(days=84 - 5 * number), **more.get(number, {})},
            )
            if number == 5 and back < 4:
                body |= {"status": "canceled", "ended_at": now - 4 * DAY}
            keep(session, body | {"id": f"sub_1Q8s{number:02}", "customer": f"cus_Q8sZk{number:02}"}, now)
        snapshots.take(session, rules, UTC_ZONE, at=now - back * DAY)
    estimates.rebuild(session, rules, UTC_ZONE, at=now)
