"""Bills: what is on them, and how they are paid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulator.stripe.checkout import Checkout
from simulator.stripe.lines import cost, spread, taxed
from simulator.stripe.objects import Object


class Invoices(Checkout):
    """An account that sends bills."""

    def invoice(
        self,
        customer: Object,
        lines: Sequence[Object],
        *,
        reason: str = "manual",
        subscription: Object | None = None,
        discount: int = 0,
        discounts: Sequence[str] = (),
        tax: int = 0,
    ) -> Object:
        """Send a bill. `lines` come from `invoice_line`; `discount` and `tax` are of the whole."""
        amounts = [line["amount"] for line in lines]
        for line, off, on_top in zip(lines, spread(amounts, discount), spread(amounts, tax), strict=True):
            line["discount_amounts"] = [{"amount": off, "discount": one} for one in discounts[:1] if off]
            line["taxes"] = [taxed(on_top)] if on_top else []
        subtotal = sum(amounts)
        total = subtotal - discount + tax
        parent = None
        if subscription is not None:
            details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
            parent = {"quote_details": None, "subscription_details": details, "type": "subscription_details"}
        made = {
            "object": "invoice",
            "amount_due": max(total, 0),
            "amount_overpaid": 0,
            "amount_paid": 0,
            "amount_remaining": max(total, 0),
            "attempt_count": 0,
            "attempted": False,
            "auto_advance": True,
            "billing_reason": reason,
            "collection_method": "charge_automatically",
            "currency": lines[0]["currency"] if lines else "usd",
            "customer": customer["id"],
            "customer_email": customer["email"],
            "default_payment_method": None,
            "discounts": list(discounts),
            "ending_balance": 0,
            "lines": list(lines),
            "metadata": {},
            "number": None,
            "parent": parent,
            "period_end": self.now,
            "period_start": self.now,
            "starting_balance": 0,
            "status": "open",
            "status_transitions": {
                "finalized_at": self.now,
                "marked_uncollectible_at": None,
                "paid_at": None,
                "voided_at": None,
            },
            "subtotal": subtotal,
            "total": total,
            "total_discount_amounts": [{"amount": discount, "discount": one} for one in discounts[:1]],
            "total_excluding_tax": total - tax,
            "total_taxes": [taxed(tax)] if tax else [],
        }
        sent = self.add(made)
        for line in sent["lines"]:
            line["invoice"] = sent["id"]
        self.tell("invoice.created", sent)
        self.tell("invoice.finalized", sent)
        return sent

    def invoice_line(self, price: Object, quantity: int = 1, amount: int | None = None, **more: Any) -> Object:
        """What an invoice is for: `period=(start, end)`, `item` (of a subscription), `proration`."""
        start, end = more.get("period", (self.now, self.now))
        item = more.get("item")
        details = {"invoice_item": None, "proration": more.get("proration", False), "proration_details": None}
        parent: Object = {"invoice_item_details": None, "subscription_item_details": None}
        if item is not None:
            parent["subscription_item_details"] = {
                **details,
                "subscription": item["subscription"],
                "subscription_item": item["id"],
            }
            parent["type"] = "subscription_item_details"
        else:
            details["invoice_item"] = "ii_" + self.new_id("item").removeprefix("li_")
            parent |= {"invoice_item_details": {**details, "subscription": None}, "type": "invoice_item_details"}
        amount = cost(price, quantity) if amount is None else amount
        named = {"price": price["id"], "product": price["product"]}
        return {
            "id": self.new_id("line_item"),
            "object": "line_item",
            "amount": amount,
            "currency": price["currency"],
            "description": None,
            "discount_amounts": [],
            "discountable": True,
            "discounts": [],
            "invoice": None,
            "livemode": self.livemode,
            "metadata": {},
            "parent": parent,
            "period": {"end": end, "start": start},
            "pretax_credit_amounts": [],
            "pricing": {
                "price_details": named,
                "type": "price_details",
                "unit_amount_decimal": price["unit_amount_decimal"],
            },
            "quantity": quantity,
            "subtotal": amount,
            "taxes": [],
        }

    def pay_invoice(self, invoice: Object, *, parts: Sequence[int] = (), attempts: int = 1) -> Object:
        """Have it paid, in several payments if `parts` says so, the first one at the last of some attempts.

        Their payment intents carry no metadata: a subscription's is not copied to them.
        """
        with self.lock:
            owed = invoice["amount_remaining"]
            amounts = [*parts, owed - sum(parts)] if parts else [owed] if owed else []
            customer = self.get(invoice["customer"])
            for index, amount in enumerate(amounts):
                intent = self.intend(amount, invoice["currency"], customer=customer)
                for _ in range(attempts - 1 if not index else 0):
                    self.charge(intent, fails=True)
                self.charge(intent, email=customer.get("email"))
                payment = self.add(self._invoice_payment(invoice, intent, default=not index))
                self.tell("invoice_payment.paid", payment)
            moments = {**invoice["status_transitions"], "paid_at": self.now}
            paid = {"amount_paid": owed, "amount_remaining": 0, "attempted": True, "status": "paid"}
            self.change(invoice, "invoice.paid", **paid, attempt_count=attempts, status_transitions=moments)
            self.tell("invoice.payment_succeeded", invoice)
            return invoice

    def fail_invoice(self, invoice: Object) -> Object:
        """Try in vain."""
        with self.lock:
            customer = self.get(invoice["customer"])
            intent = self.intend(invoice["amount_due"], invoice["currency"], customer=customer)
            self.charge(intent, email=customer.get("email"), fails=True)
            tried = invoice["attempt_count"] + 1
            return self.change(invoice, "invoice.payment_failed", attempted=True, attempt_count=tried)

    def void(self, invoice: Object) -> Object:
        """Take a bill back that nobody paid."""
        moments = {**invoice["status_transitions"], "voided_at": self.now}
        return self.change(invoice, "invoice.voided", status="void", status_transitions=moments)

    def _invoice_payment(self, invoice: Object, intent: Object, *, default: bool) -> Object:
        return {
            "object": "invoice_payment",
            "amount_paid": intent["amount"],
            "amount_requested": intent["amount"],
            "currency": intent["currency"],
            "invoice": invoice["id"],
            "is_default": default,
            "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
            "status": "paid",
            "status_transitions": {"canceled_at": None, "paid_at": self.now},
        }
