"""Discounts at the simulated Stripe: coupons on subscriptions and their items, and what they take off a bill.

A discount names its coupon in `source` since 2025-09-30.clover.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from simulator.stripe.invoices import Invoices
from simulator.stripe.objects import Object
from simulator.stripe.periods import add_months
from simulator.stripe.settlement import half_up


class Discounts(Invoices):
    """An account that gives discounts."""

    def discount(
        self, coupon: Object, customer: Object, subscription_id: str, *, item: str | None = None
    ) -> Object:
        """Apply a coupon, so long as its duration says."""
        months = coupon["duration_in_months"]
        made = {
            "id": self.new_id("discount"),
            "object": "discount",
            "checkout_session": None,
            "customer": customer["id"],
            "end": add_months(self.now, months) if coupon["duration"] == "repeating" else None,
            "invoice": None,
            "invoice_item": None,
            "promotion_code": None,
            "source": {"coupon": coupon["id"], "type": "coupon"},
            "start": self.now,
            "subscription": subscription_id,
            "subscription_item": item,
        }
        self.discounts[made["id"]] = made
        return made

    def discount_item(self, subscription: Object, coupon: Object, *, index: int = 0) -> Object:
        """Apply a coupon to one item only."""
        item = subscription["items"][index]
        customer = self.get(subscription["customer"])
        made = self.discount(coupon, customer, subscription["id"], item=item["id"])
        item["discounts"] = [*item["discounts"], made["id"]]
        return self.change(subscription, "customer.subscription.updated")

    def add_coupon(self, subscription: Object, coupon: Object) -> Object:
        """Apply a coupon to a subscription that runs: from its next bill on."""
        customer = self.get(subscription["customer"])
        made = self.discount(coupon, customer, subscription["id"])
        discounts = [*subscription["discounts"], made["id"]]
        return self.change(subscription, "customer.subscription.updated", discounts=discounts)

    def taken_off(self, discounts: Sequence[str], amount: int) -> int:
        """What the discounts that still run take off, one after the other, never below nothing."""
        left = Fraction(amount)
        for one in (self.discounts[key] for key in discounts):
            coupon = self.get(one["source"]["coupon"])
            if one["end"] is not None and one["end"] <= self.now:
                continue
            percent = Fraction(str(coupon["percent_off"] or 0))
            left -= left * percent / 100 if percent else (coupon["amount_off"] or 0)
        return amount - half_up(max(left, Fraction(0)))

    def use_up(self, subscription: Object) -> None:
        """A coupon for one bill is gone with the bill."""
        kept = [
            key
            for key in subscription["discounts"]
            if self.get(self.discounts[key]["source"]["coupon"])["duration"] != "once"
        ]
        subscription["discounts"] = kept
