"""Visits to the checkout that lead to payments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simulator.stripe.account import DAY
from simulator.stripe.lines import cost, spread
from simulator.stripe.objects import Object
from simulator.stripe.payments import Payments


class Checkout(Payments):
    """An account that sells at the checkout."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._payment_metadata: dict[str, dict[str, str]] = {}

    def private(self) -> dict[str, Any]:
        """Also what the payments of open checkouts will say."""
        open_ = {one["id"] for one in self.all("checkout_sessions") if one["status"] == "open"}
        meant = {key: value for key, value in self._payment_metadata.items() if key in open_}
        return {**super().private(), "payment_metadata": meant}

    def restore(self, private: dict[str, Any]) -> None:
        """As before."""
        super().restore(private)
        self._payment_metadata = private["payment_metadata"]

    def checkout(
        self,
        lines: Sequence[tuple[Object, int]],
        *,
        customer: Object | None = None,
        email: str | None = None,
        client_reference_id: str | None = None,
        metadata: dict[str, str] | None = None,
        payment_metadata: dict[str, str] | None = None,
        mode: str = "payment",
        discount: int = 0,
        tax: int = 0,
    ) -> Object:
        """Open a checkout session for prices and quantities. `discount` and `tax` are of the whole."""
        costs = [cost(price, quantity) for price, quantity in lines]
        shares = zip(lines, costs, spread(costs, discount), spread(costs, tax), strict=True)
        items = [self._bought(price, quantity, *amounts) for (price, quantity), *amounts in shares]
        subtotal = sum(costs)
        session = {
            "object": "checkout.session",
            "amount_subtotal": subtotal,
            "amount_total": subtotal - discount + tax,
            "client_reference_id": client_reference_id,
            "currency": lines[0][0]["currency"],
            "customer": customer["id"] if customer else None,
            "customer_details": None,
            "customer_email": email,
            "expires_at": self.now + DAY,
            "invoice": None,
            "line_items": items,
            "metadata": dict(metadata or {}),
            "mode": mode,
            "payment_intent": None,
            "payment_link": None,
            "payment_status": "unpaid",
            "setup_intent": None,
            "status": "open",
            "subscription": None,
            "total_details": {"amount_discount": discount, "amount_shipping": 0, "amount_tax": tax},
            "ui_mode": "hosted_page",
            "url": None,
        }
        made = self.add(session)
        self._payment_metadata[made["id"]] = dict(payment_metadata or {})
        return made

    def complete(self, session: Object, *, later: bool = False) -> Object:
        """Have it paid. `later`: by a bank transfer that is still under way. Nothing to pay is paid at once."""
        with self.lock:
            email = session["customer_email"]
            customer = self.get(session["customer"]) if session["customer"] else None
            details = {"email": customer["email"] if customer else email, "name": None, "phone": None}
            done: dict[str, Any] = {"customer_details": {**details, "address": None}, "status": "complete"}
            if not session["amount_total"]:
                return self.change(
                    session, "checkout.session.completed", **done, payment_status="no_payment_required"
                )
            meant = self._payment_metadata[session["id"]]
            intent = self.intend(session["amount_total"], session["currency"], customer=customer, metadata=meant)
            done["payment_intent"] = intent["id"]
            if not later:
                self.charge(intent, email=details["email"])
                done["payment_status"] = "paid"
            return self.change(session, "checkout.session.completed", **done)

    def arrive(self, session: Object) -> Object:
        """The bank transfer of a session that was completed earlier has come."""
        with self.lock:
            intent = self.get(session["payment_intent"])
            self.charge(intent, email=session["customer_details"]["email"])
            return self.change(session, "checkout.session.async_payment_succeeded", payment_status="paid")

    def fail(self, session: Object) -> Object:
        """It will never come."""
        with self.lock:
            intent = self.get(session["payment_intent"])
            self.charge(intent, email=session["customer_details"]["email"], fails=True)
            return self.change(session, "checkout.session.async_payment_failed")

    def expire(self, session: Object) -> Object:
        """Nobody completed it."""
        return self.change(session, "checkout.session.expired", status="expired")

    def buy(self, price: Object, quantity: int = 1, **more: Any) -> Object:
        """Open a checkout session for one thing and have it paid."""
        return self.complete(self.checkout([(price, quantity)], **more))

    def _bought(self, price: Object, quantity: int, amount: int, discount: int, tax: int) -> Object:
        return {
            "id": self.new_id("item"),
            "object": "item",
            "amount_discount": discount,
            "amount_subtotal": amount,
            "amount_tax": tax,
            "amount_total": amount - discount + tax,
            "currency": price["currency"],
            "description": None,
            "price": price["id"],
            "quantity": quantity,
        }
