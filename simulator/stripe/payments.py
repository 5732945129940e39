"""Money at the simulated Stripe: charges, refunds that may fail, disputes, payouts, what Stripe itself takes."""

from __future__ import annotations

from typing import Any

from simulator.stripe import payment_objects
from simulator.stripe.account import DAY, Store
from simulator.stripe.objects import Object
from simulator.stripe.settlement import Settlement

PAYS_OUT_AFTER = 2 * DAY


class Payments(Store):
    """An account that takes money and gives it back."""

    def __init__(self, *, livemode: bool = False, seed: int = 1, settlement: Settlement | None = None) -> None:
        super().__init__(livemode=livemode, seed=seed)
        self.settlement = settlement or Settlement()

    def move(
        self, kind: str, category: str, amount: int, currency: str, *, fee: int = 0, source: str | None = None
    ) -> Object:
        """Move the balance: `amount` in the currency that somebody paid, `fee` in the settlement currency."""
        settled, settles_in, rate = self.settlement.convert(amount, currency)
        made = payment_objects.balance_transaction(kind, category, settles_in, settled, fee)
        made |= {"exchange_rate": rate, "source": source, "available_on": self.now + PAYS_OUT_AFTER}
        return self.add(made)

    def settle(self) -> None:
        """Make available what is due: the one thing that ever changes about a balance transaction."""
        with self.lock:
            for one in self.lists["balance_transactions"].by_id.values():
                if one["status"] == "pending" and one["available_on"] <= self.now:
                    one["status"] = "available"

    def intend(
        self,
        amount: int,
        currency: str = "usd",
        *,
        customer: Object | None = None,
        metadata: dict[str, str] | None = None,
    ) -> Object:
        """Begin a payment."""
        who = customer["id"] if customer else None
        return self.add(payment_objects.payment_intent(amount, currency, who, metadata or {}))

    def charge(self, intent: Object, *, email: str | None = None, fails: bool = False) -> Object:
        """Try to have a payment intent paid. A guest leaves an e-mail address; a failed attempt moves nothing."""
        with self.lock:
            made = payment_objects.charge(intent, email, intent["metadata"])
            if fails:
                made |= {"status": "failed", "failure_code": "card_declined"}
                made["failure_message"] = "Your card was declined."
                failed = self.add(made, event="charge.failed")
                self.change(intent, "payment_intent.payment_failed", latest_charge=failed["id"])
                return failed
            paid = self.add({**made, "status": "succeeded"})
            settled, _, _ = self.settlement.convert(paid["amount"], paid["currency"])
            fee = self.settlement.fee(settled)
            moved = self.move("charge", "charge", paid["amount"], paid["currency"], fee=fee, source=paid["id"])
            captured = {"amount_captured": paid["amount"], "captured": True, "paid": True}
            self.change(paid, "charge.succeeded", **captured, balance_transaction=moved["id"])
            received = {"amount_received": paid["amount"], "latest_charge": paid["id"], "status": "succeeded"}
            self.change(intent, "payment_intent.succeeded", **received)
            return paid

    def pay(self, amount: int, currency: str = "usd", **more: Any) -> Object:
        """Have something paid outside the checkout: `customer`, `metadata`, `email`. Returns the charge."""
        email = more.pop("email", None)
        return self.charge(self.intend(amount, currency, **more), email=email)

    def refund(
        self, charge: Object, amount: int | None = None, *, pending: bool = False, metadata: Any = None
    ) -> Object:
        """Give back a part, or what is left. Pending ones count as given back until they fail."""
        with self.lock:
            left = charge["amount_captured"] - charge["amount_refunded"]
            amount = left if amount is None else amount
            assert 0 < amount <= left, "Refund amount is greater than unrefunded amount on charge"
            status = "pending" if pending else "succeeded"
            made = self.add(payment_objects.refund(charge, amount, status, metadata or {}))
            moved = self.move("refund", "refund", -amount, charge["currency"], source=made["id"])
            made["balance_transaction"] = moved["id"]
            self.tell("refund.created", made)
            self._refunded(charge, amount)
            return made

    def succeed_refund(self, refund: Object) -> Object:
        """The customer's bank has taken it."""
        return self.change(refund, "refund.updated", status="succeeded")

    def fail_refund(self, refund: Object) -> Object:
        """The customer's bank sends it back, days later perhaps: the charge is no longer refunded by it."""
        with self.lock:
            charge = self.get(refund["charge"])
            back = self.move(
                "refund_failure", "refund_failure", refund["amount"], charge["currency"], source=refund["id"]
            )
            failed = {"status": "failed", "failure_reason": "expired_or_canceled_card"}
            self.change(refund, "refund.updated", **failed, failure_balance_transaction=back["id"])
            self.tell("refund.failed", refund)
            self._refunded(charge, -refund["amount"])
            return refund

    def dispute(
        self, charge: Object, amount: int | None = None, *, inquiry: bool = False, reason: str = "fraudulent"
    ) -> Object:
        """A bank asks (an inquiry moves no money) or takes the money back."""
        with self.lock:
            amount = charge["amount_captured"] - charge["amount_refunded"] if amount is None else amount
            status = "warning_needs_response" if inquiry else "needs_response"
            made = self.add(payment_objects.dispute(charge, amount, status, reason))
            self.change(charge, disputed=True)
            self.tell("charge.dispute.created", made)
            if not inquiry:
                self._withdraw(made)
            return made

    def escalate(self, dispute: Object) -> Object:
        """An inquiry becomes a dispute: now the money goes."""
        with self.lock:
            self.change(dispute, "charge.dispute.updated", status="needs_response", is_charge_refundable=False)
            self._withdraw(dispute)
            return dispute

    def win(self, dispute: Object, *, fee_returned: bool = False) -> Object:
        """The bank gives the money back; the fee too where the contract says so."""
        with self.lock:
            fee = -self.settlement.dispute_fee if fee_returned else 0
            moved = self._disputed(dispute, dispute["amount"], "dispute_reversal", fee)
            both = [*dispute["balance_transactions"], dict(moved)]
            self.change(dispute, "charge.dispute.closed", status="won", balance_transactions=both)
            self.tell("charge.dispute.funds_reinstated", dispute)
            return dispute

    def lose(self, dispute: Object) -> Object:
        """The bank keeps it."""
        return self.change(dispute, "charge.dispute.closed", status="lost")

    def close_inquiry(self, dispute: Object) -> Object:
        """The bank has asked enough: nothing ever moved."""
        return self.change(dispute, "charge.dispute.closed", status="warning_closed")

    def pay_out(self, amount: int, currency: str = "usd") -> Object:
        """Send money to the account's bank."""
        with self.lock:
            made = self.add(payment_objects.payout(amount, currency, self.now + PAYS_OUT_AFTER))
            moved = self.move("payout", "payout", -amount, currency, source=made["id"])
            return self.change(made, "payout.paid", balance_transaction=moved["id"])

    def bill_account(self, amount: int, currency: str = "usd", *, tax: int = 0) -> None:
        """Stripe bills the account itself (Billing, Radar): a row of its own, and one for the tax on it."""
        self.move("stripe_fee", "fee", -amount, currency)
        if tax:
            self.move("tax_fee", "tax", -tax, currency)

    def _refunded(self, charge: Object, amount: int) -> None:
        total = charge["amount_refunded"] + amount
        whole = total == charge["amount_captured"]
        event = "charge.refunded" if amount > 0 else "charge.updated"
        self.change(charge, event, amount_refunded=total, refunded=whole)

    def _withdraw(self, dispute: Object) -> None:
        moved = self._disputed(dispute, -dispute["amount"], "dispute", self.settlement.dispute_fee)
        self.change(dispute, balance_transactions=[*dispute["balance_transactions"], dict(moved)])
        self.tell("charge.dispute.funds_withdrawn", dispute)

    def _disputed(self, dispute: Object, amount: int, category: str, fee: int) -> Object:
        return self.move("adjustment", category, amount, dispute["currency"], fee=fee, source=dispute["id"])
