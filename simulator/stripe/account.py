"""An account at the simulated Stripe: its objects, its events and its clock.

`Account` can be changed as the real one changes: money (`simulator.stripe.payments`) and subscriptions
(`simulator.stripe.billing`). Every change makes the events that Stripe would make.
"""

from __future__ import annotations

import bisect
import hashlib
import json
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from simulator.stripe import objects, payment_objects
from simulator.stripe.objects import PREFIXES, RESOURCES, Object
from simulator.stripe.rendering import shown

DAY = 86_400


@dataclass
class Listed:
    """The objects of one type, in the order in which they were created: Stripe lists them backwards."""

    order: list[tuple[int, int, str]] = field(default_factory=list)
    by_id: dict[str, Object] = field(default_factory=dict)

    def newest_first(self) -> Iterator[Object]:
        """What a list shows: a deleted object is not there."""
        return (self.by_id[key] for _, _, key in reversed(self.order) if not self.by_id[key].get("deleted"))


class Store:
    """The objects of an account. One lock guards them all: `with account.lock`."""

    def __init__(self, *, livemode: bool = False, seed: int = 1) -> None:
        self.livemode = livemode
        self.lock = threading.RLock()
        self.lists = {name: Listed() for name in RESOURCES.values()}
        self.discounts: dict[str, Object] = {}
        self.denied: set[str] = set()
        """What the key may not read: "disputes", "checkout_sessions" ..."""
        self.undelivered: set[str] = set()
        self.events_since = 0
        """What happened before this moment made no events: Stripe's list of them goes back only 30 days."""
        self._seed = seed
        self._count = 0
        self._stands_at: int | None = None

    @property
    def now(self) -> int:
        """What the account's clock says, in seconds: the time, or where `at` stopped it."""
        return int(time.time()) if self._stands_at is None else self._stands_at

    def at(self, moment: datetime | int | None) -> None:
        """Stop the clock at a moment, earlier ones included; None lets it run again."""
        self._stands_at = int(moment.timestamp()) if isinstance(moment, datetime) else moment

    def wait(self, seconds: float) -> None:
        """Move a stopped clock on."""
        self._stands_at = self.now + int(seconds)

    def new_id(self, type_: str) -> str:
        """An identifier that nothing else has: the same ones again from the same seed."""
        self._count += 1
        digest = hashlib.sha256(f"{self._seed} {self._count}".encode()).hexdigest()[:24]
        return PREFIXES[type_] + digest

    def all(self, resource: str) -> list[Object]:
        """Every object of a resource, newest first, without the deleted ones."""
        with self.lock:
            return list(self.lists[resource].newest_first())

    def get(self, object_id: str) -> Object:
        """An object by its id, whatever it is. Raises KeyError."""
        with self.lock:
            for listed in self.lists.values():
                if object_id in listed.by_id:
                    return listed.by_id[object_id]
            return self.discounts[object_id]

    def add(self, value: Object, *, id: str | None = None, event: str | None = None) -> Object:
        """Keep a new object, created now, and say so in an event."""
        with self.lock:
            key = id or self.new_id(value["object"])
            made = {"id": key, "object": value["object"], "created": self.now, "livemode": self.livemode, **value}
            if value["object"] in ("balance_transaction", "refund"):
                del made["livemode"]  # as in Stripe's
            listed = self.lists[RESOURCES[value["object"]]]
            self._count += 1
            bisect.insort(listed.order, (made["created"], self._count, key))
            listed.by_id[key] = made
            if event:
                self.tell(event, made)
            return made

    def change(self, value: Object, event: str | None = None, **changes: Any) -> Object:
        """Change an object and say so, with what was there before."""
        with self.lock:
            before = {name: value.get(name) for name, new in changes.items() if value.get(name) != new}
            value.update(changes)
            if event:
                self.tell(event, value, before)
            return value

    def tell(self, type_: str, value: Object, before: Object | None = None) -> None:
        """Make an event: with the object as it is at this moment, whatever becomes of it later."""
        if self.now < self.events_since:
            return
        data: Object = {"object": json.loads(json.dumps(shown(self, value)))}
        if before:
            data["previous_attributes"] = json.loads(json.dumps(before))
        event = {
            "object": "event",
            "api_version": objects.API_VERSION,
            "data": data,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": type_,
        }
        self.undelivered.add(self.add(event)["id"])

    def product(self, name: str, *, metadata: dict[str, str] | None = None) -> Object:
        """Offer something."""
        return self.add(objects.product(name, metadata or {}), event="product.created")

    def price(
        self, product: Object, unit_amount: Decimal | int | None, currency: str = "usd", **more: Any
    ) -> Object:
        """Name its price: once, or with `recurring={"interval": "month", ...}`, `tiers`, `tiers_mode` ..."""
        return self.add(objects.price(product["id"], currency, unit_amount, **more), event="price.created")

    def coupon(self, duration: str = "forever", *, id: str | None = None, **more: Any) -> Object:
        """Make a discount: `percent_off=25`, or `amount_off=500, currency="usd"`."""
        return self.add(
            objects.coupon(duration, **more), id=id or self.new_id("coupon")[:8].upper(), event="coupon.created"
        )

    def customer(self, email: str | None = None, *, metadata: dict[str, str] | None = None) -> Object:
        """Register a customer."""
        return self.add(objects.customer(email, metadata or {}), event="customer.created")

    def card(
        self, customer: Object, brand: str = "visa", last4: str = "4242", expires: tuple[int, int] = (12, 2030)
    ) -> Object:
        """Keep a customer's card."""
        return self.add(payment_objects.payment_method(customer["id"], brand, last4, expires))

    def private(self) -> dict[str, Any]:
        """What the account knows and never shows, as JSON, so that `restore` makes another one go on."""
        return {"seed": self._seed, "count": self._count}

    def restore(self, private: dict[str, Any]) -> None:
        """Go on where another account was."""
        self._seed, self._count = private["seed"], private["count"]

    def deny(self, *resources: str) -> None:
        """Take the permission to read something from the key."""
        self.denied |= set(resources)

    def permit(self, resources: Iterable[str]) -> None:
        """Give it back."""
        self.denied -= set(resources)
