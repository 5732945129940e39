"""Subscriptions at the simulated Stripe: begun, renewed, changed, paused and ended, with their invoices.

Periods are on the items since 2025-03-31.basil.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from simulator.stripe.account import DAY
from simulator.stripe.discounts import Discounts
from simulator.stripe.lines import cost
from simulator.stripe.objects import Object
from simulator.stripe.periods import period_end
from simulator.stripe.settlement import half_up


class Account(Discounts):
    """The whole account."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._tax_percent: dict[str, int] = {}

    def private(self) -> dict[str, Any]:
        """Also the taxes of subscriptions."""
        return {**super().private(), "tax_percent": self._tax_percent}

    def restore(self, private: dict[str, Any]) -> None:
        """As before."""
        super().restore(private)
        self._tax_percent = private["tax_percent"]

    def subscribe(
        self,
        customer: Object,
        lines: Sequence[tuple[Object, int]],
        *,
        coupons: Sequence[Object] = (),
        metadata: dict[str, str] | None = None,
        trial_days: int = 0,
        tax_percent: int = 0,
        pays: bool = True,
    ) -> Object:
        """Begin a subscription to prices and quantities, with its first invoice: of nothing when it is a trial."""
        with self.lock:
            ends = self.now + trial_days * DAY if trial_days else None
            sub_id = self.new_id("subscription")
            items = [self._item(sub_id, price, quantity, ends) for price, quantity in lines]
            subscription = {
                "object": "subscription",
                "billing_cycle_anchor": ends or self.now,
                "billing_mode": {"flexible": None, "type": "flexible"},
                "cancel_at": None,
                "cancel_at_period_end": False,
                "canceled_at": None,
                "cancellation_details": {"comment": None, "feedback": None, "reason": None},
                "collection_method": "charge_automatically",
                "currency": lines[0][0]["currency"],
                "customer": customer["id"],
                "days_until_due": None,
                "default_payment_method": None,
                "default_tax_rates": [],
                "discounts": [self.discount(coupon, customer, sub_id)["id"] for coupon in coupons],
                "ended_at": None,
                "items": items,
                "latest_invoice": None,
                "metadata": dict(metadata or {}),
                "pause_collection": None,
                "schedule": None,
                "start_date": self.now,
                "status": "trialing" if ends else "active" if pays else "incomplete",
                "trial_end": ends,
                "trial_start": self.now if ends else None,
            }
            made = self.add(subscription, id=sub_id, event="customer.subscription.created")
            self._tax_percent[sub_id] = tax_percent
            self._bill(made, "subscription_create", pays=pays, free=ends is not None)
            return made

    def renew(
        self, subscription: Object, *, pays: bool = True, attempts: int = 1, parts: Sequence[int] = ()
    ) -> Object:
        """End what has lasted its period, begin the next, and bill it. Returns the invoice.

        The clock stands at the end of the period of the item that ends first: items of other intervals go on.
        """
        with self.lock:
            ends = min(item["current_period_end"] for item in subscription["items"])
            due = [item for item in subscription["items"] if item["current_period_end"] == ends]
            for item in due:
                item["current_period_start"] = ends
                item["current_period_end"] = period_end(self.get(item["price"]), ends)
            was_trial = subscription["status"] == "trialing"
            if was_trial:
                subscription["status"] = "active"
            self.tell("customer.subscription.updated", subscription)
            return self._bill(subscription, "subscription_cycle", due, pays=pays, attempts=attempts, parts=parts)

    def recover(self, subscription: Object) -> Object:
        """The card works again: the open invoice is paid and the subscription is active."""
        with self.lock:
            self.pay_invoice(self.get(subscription["latest_invoice"]), attempts=2)
            return self.change(subscription, "customer.subscription.updated", status="active")

    def give_up(self, subscription: Object) -> Object:
        """Stop trying to have the invoice paid."""
        return self.change(subscription, "customer.subscription.updated", status="unpaid")

    def set_quantity(self, subscription: Object, quantity: int, *, index: int = 0) -> Object:
        """Change how many of an item are had, from now on and without a prorated invoice."""
        subscription["items"][index]["quantity"] = quantity
        return self.change(subscription, "customer.subscription.updated")

    def cancel_at_end(self, subscription: Object, *, flexible: bool = True) -> Object:
        """Schedule the end. In the flexible billing mode only `cancel_at` says so."""
        ends = max(item["current_period_end"] for item in subscription["items"])
        changes: dict[str, Any] = {
            "canceled_at": self.now,
            "cancel_at": ends,
            "cancel_at_period_end": not flexible,
        }
        return self.change(subscription, "customer.subscription.updated", **changes)

    def cancel(self, subscription: Object) -> Object:
        """End it now."""
        ended = {"status": "canceled", "canceled_at": subscription["canceled_at"] or self.now}
        return self.change(subscription, "customer.subscription.deleted", **ended, ended_at=self.now)

    def pause(self, subscription: Object) -> Object:
        """Go on without having anything paid."""
        paused = {"behavior": "void", "resumes_at": None}
        return self.change(subscription, "customer.subscription.updated", pause_collection=paused)

    def resume(self, subscription: Object) -> Object:
        """Have it paid again."""
        return self.change(subscription, "customer.subscription.updated", pause_collection=None)

    def delete_customer(self, customer: Object) -> None:
        """Forget a customer: their subscriptions end, lists no longer show them, and their metadata is gone."""
        with self.lock:
            for one in self.all("subscriptions"):
                if one["customer"] == customer["id"] and one["status"] != "canceled":
                    self.cancel(one)
            self.tell("customer.deleted", customer)
            kept = {"id": customer["id"], "object": "customer", "created": customer["created"], "email": None}
            customer.clear()
            customer.update(kept, deleted=True)

    def _item(self, subscription_id: str, price: Object, quantity: int, trial_end: int | None) -> Object:
        metered = price["recurring"]["usage_type"] == "metered"
        return {
            "id": self.new_id("subscription_item"),
            "object": "subscription_item",
            "billing_thresholds": None,
            "created": self.now,
            "current_period_end": trial_end or period_end(price, self.now),
            "current_period_start": self.now,
            "discounts": [],
            "metadata": {},
            "price": price["id"],
            **({} if metered else {"quantity": quantity}),
            "subscription": subscription_id,
            "tax_rates": [],
        }

    def _bill(
        self,
        subscription: Object,
        reason: str,
        items: Sequence[Object] = (),
        *,
        pays: bool,
        attempts: int = 1,
        parts: Sequence[int] = (),
        free: bool = False,
    ) -> Object:
        lines = []
        for item in items or subscription["items"]:
            price = self.get(item["price"])
            quantity = item.get("quantity", 0)
            period = (item["current_period_start"], item["current_period_end"])
            amount = 0 if free else self._item_cost(item, price, quantity)
            lines.append(self.invoice_line(price, quantity, amount, period=period, item=item))
        subtotal = sum(line["amount"] for line in lines)
        off = self.taken_off(subscription["discounts"], subtotal)
        tax = half_up(Fraction((subtotal - off) * self._tax_percent[subscription["id"]], 100))
        customer = self.get(subscription["customer"])
        invoice = self.invoice(
            customer,
            lines,
            reason=reason,
            subscription=subscription,
            discount=off,
            discounts=subscription["discounts"],
            tax=tax,
        )
        subscription["latest_invoice"] = invoice["id"]
        if not free:
            self.use_up(subscription)
        if pays:
            self.pay_invoice(invoice, attempts=attempts, parts=parts)
        else:
            self.fail_invoice(invoice)
            if reason == "subscription_cycle":
                self.change(subscription, "customer.subscription.updated", status="past_due")
        return invoice

    def _item_cost(self, item: Object, price: Object, quantity: int) -> int:
        amount = cost(price, quantity)
        return amount - self.taken_off(item["discounts"], amount)
