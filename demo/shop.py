"""What the demo's customers pay for at Stripe: packs of credits, and plans whose credits end with their month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from demo.people import Person
from simulator.stripe.billing import Account
from simulator.stripe.objects import Object

PACKS = {20: 190, 50: 390, 100: 690, 200: 1190, 500: 2490}
"""What a pack of so many credits costs, in cents of a dollar or a euro."""
PLANS = {"plus": 490, "pro": 1490}
CURRENCIES = ((0.78, "usd"), (0.22, "eur"))
COUPON_PERCENT = 20
TRIAL_DAYS = 7
NEVER = 2**40
DEBTORS = 2
"""How many customers owe credits when the history ends."""


@dataclass(frozen=True)
class Sale:
    """Something that was paid for and brings credits; `ends` is when those do that a plan brings."""

    kind: str
    source: str
    linked_by: str
    credits: int
    currency: str
    paid: int
    paid_at: datetime
    ends: datetime | None
    charge: Object


class Shop:
    """The platform's account at the simulated Stripe. `plans` are the credits that come with a month of a plan."""

    def __init__(self, number: int, opened: datetime, plans: Mapping[str, int]) -> None:
        self.account = Account(seed=number)
        self.account.events_since = NEVER
        self.account.at(opened - timedelta(days=60))
        self.debtors = 0
        self._plan_credits = plans
        self._customers: dict[str, Object] = {}
        currencies = [currency for _, currency in CURRENCIES]
        self._packs = {key: self._pack(*key) for key in ((size, one) for size in PACKS for one in currencies)}
        self._plans = {key: self._plan(*key) for key in ((name, one) for name in plans for one in currencies)}
        self._coupon = self.account.coupon(percent_off=COUPON_PERCENT, id="EARLYBIRD", name="Early bird")

    def sell_pack(self, person: Person, currency: str, credits: int, at: datetime) -> Sale:
        """A visit to the checkout."""
        self.account.at(at)
        who, meant = self._customer(person), {"user_id": person.id}
        session = self.account.buy(self._packs[credits, currency], customer=who, payment_metadata=meant)
        charge = self.account.get(self.account.get(session["payment_intent"])["latest_charge"])
        paid_at = datetime.fromtimestamp(session["created"], UTC)
        paid = session["amount_total"]
        return Sale("checkout_session", session["id"], "charge", credits, currency, paid, paid_at, None, charge)

    def subscribe(
        self, person: Person, currency: str, plan: str, at: datetime, *, coupon: bool, trial: bool
    ) -> Object:
        """A plan begins, perhaps with a trial."""
        self.account.at(at)
        return self.account.subscribe(
            self._customer(person),
            [(self._plans[plan, currency], 1)],
            coupons=[self._coupon] if coupon else (),
            metadata={"user_id": person.id, "plan": plan},
            trial_days=TRIAL_DAYS if trial else 0,
        )

    def renew(self, subscription: Object, *, pays: bool) -> None:
        """Its next period begins."""
        self.account.at(ends(subscription))
        self.account.renew(subscription, pays=pays)

    def recover(self, subscription: Object, at: datetime) -> None:
        """What was due is paid after all."""
        self.account.at(at)
        self.account.recover(subscription)

    def cancel(self, subscription: Object, at: datetime, *, scheduled: bool = False) -> None:
        """It ends, at once or with its period."""
        self.account.at(at)
        (self.account.cancel_at_end if scheduled else self.account.cancel)(subscription)

    def paid_by(self, subscription: Object) -> Sale | None:
        """What the last bill of a subscription brought, if it was paid."""
        invoice = self.account.get(subscription["latest_invoice"])
        if not invoice["amount_paid"]:
            return None
        newest = next(one for one in self.account.all("invoice_payments") if one["invoice"] == invoice["id"])
        charge = self.account.get(self.account.get(newest["payment"]["payment_intent"])["latest_charge"])
        return Sale(
            "invoice",
            invoice["id"],
            "subscription",
            self._plan_credits[subscription["metadata"]["plan"]],
            invoice["currency"],
            invoice["amount_paid"],
            datetime.fromtimestamp(invoice["status_transitions"]["paid_at"], UTC),
            ends(subscription),
            charge,
        )

    def refund(self, sale: Sale, amount: int, at: datetime) -> None:
        """Give money back."""
        self.account.at(at)
        self.account.refund(sale.charge, amount)

    def dispute(self, sale: Sale, at: datetime) -> Object:
        """The customer's bank takes the money back."""
        self.account.at(at)
        return self.account.dispute(sale.charge)

    def decide(self, dispute: Object, at: datetime, *, won: bool) -> None:
        """The bank decides."""
        self.account.at(at)
        (self.account.win if won else self.account.lose)(dispute)

    def close(self, now: datetime) -> Account:
        """The account when the history ends: with Stripe's own bills, payouts and one stranger."""
        account, day = self.account, now - timedelta(days=84)
        while day < now:
            account.at(day)
            account.bill_account(1_900, tax=361)
            account.pay_out(25_000)
            day += timedelta(days=28)
        account.at(now - timedelta(days=3, hours=2))
        account.buy(self._packs[50, "usd"], email="walked.in@example.net")
        account.at(now)
        account.settle()
        account.events_since = 0
        return account

    def _customer(self, person: Person) -> Object:
        if person.id not in self._customers:
            made = self.account.customer(person.email, metadata={"user_id": person.id})
            self.account.card(made)
            self._customers[person.id] = made
        return self._customers[person.id]

    def _pack(self, credits: int, currency: str) -> Object:
        product = self.account.product(f"Pack of {credits} credits", metadata={"credits": str(credits)})
        return self.account.price(product, PACKS[credits], currency)

    def _plan(self, name: str, currency: str) -> Object:
        credits = {"credits": str(self._plan_credits[name]), "credits_expire": "period_end"}
        product = self.account.product(name.title(), metadata=credits)
        return self.account.price(product, PLANS[name], currency, recurring={"interval": "month"})


def ends(subscription: Object) -> datetime:
    """When the period of a subscription ends."""
    return datetime.fromtimestamp(subscription["items"][0]["current_period_end"], UTC)
